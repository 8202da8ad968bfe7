"""The keys of signed targets, read: what the watcher needs beside the configuration before it may ask.

A target whose key cannot be had is not left out: its line would be watched worse than somebody believes. So nothing
starts, or, on a reload, nothing changes, until a person has seen to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.base.errors import ConfigError, Problem
from edge_node.base.shared_key import read_key
from edge_node.base.systemd import credential_path
from edge_node.config.schema import Config
from edge_node.services.line_settings import ipv6_problems, setup_of
from failover.setup import Setup


def setup_to_ask(config: Config) -> Setup:
    """What the watcher is told, with the keys of its targets. Raises ConfigError with every problem of the lines."""
    keys, problems = read_keys(config)
    if problems := (*ipv6_problems(config), *problems):
        raise ConfigError(
            "config-invalid",
            "the lines cannot be watched as they are configured",
            context=None,
            hint="mend what is named; edge-node config check looks again",
            problems=problems,
        )
    return setup_of(config, keys)


def read_keys(config: Config) -> tuple[Mapping[str, bytes], tuple[Problem, ...]]:
    """The key of every credential that a target names, and a problem for each target whose key cannot be had."""
    keys: dict[str, bytes] = {}
    problems = []
    for i, line in enumerate(config.line):
        for j, target in enumerate(line.target):
            if target.credential is None or target.credential in keys:
                continue
            try:
                keys[target.credential] = read_key(
                    credential_path(target.credential, state_dir=config.node.state_dir)
                )  # fmt: skip
            except ConfigError as error:
                text = f"{target.address} is not asked: {error.message} ({error.context}); {error.hint}"
                problems.append(Problem(path=f"line[{i}].target[{j}].credential", text=text))
    return keys, tuple(problems)
