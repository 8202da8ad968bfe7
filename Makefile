# The edge node: two commands, `make run` and `make test`; the rest is for those who work on it.
PYTHON ?= python3
PORT ?= 8080
EDGE_HOME ?= var
T ?= tests
BIN := .venv/bin
RUNTIME := .venv/.runtime
TOOLS := .venv/.tools

.DEFAULT_GOAL := help
.PHONY: help run test test-long test-deps check format lock translations lab bench bundle clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(RUNTIME) ## serve a training clinic on http://127.0.0.1:8080 (PORT=, EDGE_HOME=)
	@exec $(BIN)/edge-node up --home "$(EDGE_HOME)" --port "$(PORT)"

test: $(TOOLS) ## run every tier of tests that this machine can run (T=tests/unit for one)
	@$(BIN)/pytest -m "not long and not alone" -n 2 --dist loadfile --no-loadscope-reorder $(T); first=$$?; \
		$(BIN)/pytest -m "not long and alone" $(T); second=$$?; \
		test $$first -eq 5 && exit $$second; test $$second -eq 5 && exit $$first; exit $$((first > second ? first : second))

test-long: $(TOOLS) ## the long variants: hours, hundreds of cuts
	@$(BIN)/pytest -m long --timeout 7200 $(T)

test-deps: ## install what the skippable tiers need (Debian packages, as root)
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends python3-venv make git iproute2 ca-certificates util-linux \
		systemd systemd-container mmdebstrap zstd nftables frr xfsprogs e2fsprogs shellcheck chromium fonts-noto-cjk fonts-noto-cjk-extra prometheus prometheus-alertmanager libnss3-tools \
		exfat-fuse exfatprogs >/dev/null

check: $(TOOLS) ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(TOOLS) ## format the code and mend what lint can mend
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format .

lab: $(TOOLS) ## build a clinic, two carriers and a cloud to try outages in (as root; Ctrl-C ends it)
	@$(BIN)/python -m tests.lab up

bench: $(TOOLS) ## print the benchmark tables
	@for file in tests/bench/bench_*.py; do echo "== $$file"; $(BIN)/python -m tests.bench.$$(basename $$file .py) || exit 1; done

bundle: $(RUNTIME) ## one archive in dist/ that installs on a Debian 12 (x86_64) without internet; signed with KEY=maker.pem
	@$(BIN)/python -m edge_node.release.build --to dist $(KEY:%=--key %) $(ALSO:%=--also %)

translations: $(TOOLS) ## extract the sentences of the pages, update and compile the catalogs
	@$(BIN)/python -m tests.support.catalogs

lock: $(TOOLS) ## write the lock files anew from pyproject.toml
	@$(BIN)/pip install -q pip-tools
	@for file in requirements requirements-test; do \
		extra=$$(test $$file = requirements-test && echo "--extra test"); \
		{ echo '# Written by `make lock` from pyproject.toml: every package that is installed, with its hashes.'; \
		$(BIN)/pip-compile -q --generate-hashes --strip-extras --no-header --no-emit-index-url --no-emit-find-links \
			--no-emit-trusted-host --no-emit-options --allow-unsafe $$extra -o - pyproject.toml; } >$$file.new \
			&& mv $$file.new $$file.lock || exit 1; done

clean: ## remove the environment and what tools left (not var/)
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/e2e/shots

.venv/bin/python:
	@$(PYTHON) -m venv .venv

$(RUNTIME): pyproject.toml requirements.lock | .venv/bin/python
	@echo "installing into .venv (once)"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(TOOLS): requirements-test.lock $(RUNTIME)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@
