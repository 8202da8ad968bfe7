"""The machine's addresses, beside what `ip` says of them."""

from __future__ import annotations

import json
import subprocess

from edge_node.base.addresses import own_addresses


def test_they_are_those_that_ip_shows() -> None:
    said = json.loads(subprocess.run(["ip", "-j", "-4", "address"], capture_output=True, check=True).stdout)
    up = {link["ifname"]: link["addr_info"] for link in said if "UP" in link["flags"] and link["addr_info"]}
    wanted = {name.partition("@")[0]: {entry["local"] for entry in entries} for name, entries in up.items()}
    found = {name: set(addresses) for name, addresses in own_addresses().items()}
    assert found["lo"] >= {"127.0.0.1"}
    assert {name: addresses for name, addresses in found.items() if name in wanted} == wanted
