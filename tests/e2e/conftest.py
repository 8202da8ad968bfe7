"""A real node and a real browser for each file; without Chromium the tier is skipped with one line.

Not for the whole session: while Playwright runs its event loop is this thread's, and other tiers have loops of their
own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.clinic import Clinic
from tests.support.node import RunningNode, running_node

CHROMIUM = shutil.which("chromium")
# Nothing of the browser's own goes out; as root it has no sandbox to stand in.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: make test-deps installs it (apt-get install chromium fonts-noto-cjk)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def node(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A training clinic on its first day. Asks for the browser first: without it nothing is started."""
    home = Path(tmp_path_factory.mktemp("clinic")) / "node"
    with running_node(home) as node:
        yield node


@pytest.fixture(scope="module")
def clinic(node: RunningNode, browser: Browser) -> Clinic:
    return Clinic(node, browser)
