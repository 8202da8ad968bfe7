"""The names are a promise: the code, the reference page and the floor below must agree."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import monitoring
from monitoring.families import FAMILIES
from monitoring.family import Family, Kind

# What the node has promised so far: taking a line away, or changing one, breaks somebody's dashboard (CHANGELOG.md).
PROMISED = """
edge_mode gauge mode
edge_mode_transitions_total counter from to reason
edge_line_info info line carrier
edge_line_order gauge line order
edge_line_verdict gauge line verdict
edge_line_active gauge line
edge_line_mtu_ok gauge line
edge_line_rtt_seconds histogram line target
edge_line_loss_ratio gauge line target direction
edge_line_jitter_seconds gauge line target
edge_line_probes_total counter line target outcome
edge_line_blind_seconds_total counter
edge_line_hold_remaining_seconds gauge line
edge_line_flap_penalty gauge line
edge_line_switches_total counter from to reason
edge_line_switch_seconds histogram
edge_replica_rpo_seconds gauge destination
edge_replica_rpo_limit_seconds gauge destination
edge_replica_behind_bytes gauge destination
edge_replica_confirmed_txid gauge destination
edge_destination_state gauge destination state
edge_replica_uploads_total counter destination outcome
edge_litestream_state gauge state
edge_litestream_restarts_total counter
edge_replica_local_bytes gauge
edge_replica_budget_bytes gauge
edge_drill_last_timestamp_seconds gauge destination
edge_drill_last_success_timestamp_seconds gauge destination
edge_drill_rto_seconds gauge destination
edge_node_superseded gauge
edge_problems gauge code
edge_outbox_messages gauge upstream state
edge_outbox_oldest_queued_timestamp_seconds gauge upstream
edge_outbox_attempts_total counter upstream outcome
edge_work_items gauge kind
edge_work_item_next_due_timestamp_seconds gauge kind
edge_remote_write_backlog_samples gauge
edge_remote_write_oldest_timestamp_seconds gauge
edge_remote_write_samples_total counter outcome
edge_remote_write_requests_total counter outcome
edge_his_request_seconds histogram route method status
edge_his_commit_seconds histogram
edge_his_commit_batch_size histogram
edge_service_status_timestamp_seconds gauge service
edge_clock_synchronised gauge
edge_disk_free_bytes gauge path
edge_disk_size_bytes gauge path
edge_wal_bytes gauge path
edge_certificate_not_after_timestamp_seconds gauge name
edge_build_info info version litestream sqlite
"""
README = Path(monitoring.__file__).parent / "README.md"
ROW = re.compile(r"\| `(?P<name>edge_\w+)` \| (?P<kind>\w+) \|(?P<labels>[^|]*)\| (?P<text>[^|]+) \|")


def documented() -> list[tuple[str, str, tuple[str, ...], str]]:
    return [
        (row["name"], row["kind"], tuple(re.findall(r"`(\w+)`", row["labels"])), row["text"])
        for line in README.read_text(encoding="utf-8").splitlines()
        if (row := ROW.fullmatch(line))
    ]


def exported() -> list[tuple[str, str, tuple[str, ...], str]]:
    return [(family.name, family.kind.value, family.labels, family.text) for family in FAMILIES]


def test_the_reference_page_says_what_the_code_does() -> None:
    """In the same order, word for word: who reads the page reads the HELP lines."""
    assert documented() == exported()


@pytest.mark.parametrize("line", PROMISED.split("\n")[1:-1], ids=lambda line: line.split()[0])
def test_a_promised_metric_is_kept(line: str) -> None:
    name, kind, *labels = line.split()
    assert (name, kind, tuple(labels)) in [row[:3] for row in exported()]


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(family.name for family in FAMILIES).items() if count > 1] == []


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_the_conventions(family: Family) -> None:
    assert family.name.startswith("edge_")
    assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), "a counter, and only one, ends in _total"
    assert family.name.endswith("_info") == (family.kind is Kind.INFO)
    assert not set(family.labels) & {"le", "quantile", "instance", "job"}, "these belong to Prometheus"
    assert family.text.endswith(".")
    assert "\n" not in family.text
