"""What a service draws in when it starts: a fresh interpreter imports it, and sys.modules is asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CLOSURES = [  # service, must be absent, why
    (
        "edge_node.services.replica",
        ("flask", "sqlite_utils", "edge_node.his", "prometheus_client"),
        "the replicator stays small",
    ),
    (
        "edge_node.services.outbox",
        ("flask", "obstore", "pyrage", "prometheus_client", "edge_node.his", "edge_node.replication"),
        "the sender knows messages, and nothing of who put them",
    ),
    (
        "edge_node.services.links",
        ("flask", "sqlite_utils", "pysqlite3", "prometheus_client", "edge_node.store", "edge_node.his"),
        "the process with a capability opens no database and serves nobody",
    ),
    (
        "edge_node.services.monitor",
        (
            *("flask", "obstore", "pyrage", "edge_node.his", "edge_node.replication", "edge_node.outbox", "failover"),
            *("httpx", "edge_node.push"),  # a node that is scraped pushes nothing
        ),
        "the monitor reads what the others write, and knows none of them",
    ),
    (
        "edge_node.services.his",
        ("obstore", "pyrage", "prometheus_client", "edge_node.replication.shipper", "pypinyin.phrases_dict"),
        "the HIS never ships, and reads names by the character",
    ),
]


@pytest.mark.parametrize("service, absent, why", CLOSURES, ids=[row[0].rsplit(".", 1)[1] for row in CLOSURES])
def test_a_service_draws_in_only_its_own(service: str, absent: tuple[str, ...], why: str) -> None:
    code = f"import json, sys, edge_node.cli.main, edge_node.cli.run, {service}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert service in loaded
    assert not [name for name in absent if name in loaded], why
