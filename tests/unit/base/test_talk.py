"""Errors, log events, instruments, backoff: what the program says and counts."""

from __future__ import annotations

import pytest

from edge_node.base import errors, instruments, logs, retry


def test_an_error_names_every_problem_and_the_next_command() -> None:
    error = errors.ConfigError(
        "config-invalid",
        "2 problems in /etc/edge-node/edge-node.toml",
        context=None,
        hint="edge-node config init --stdout prints a complete, commented example",
        problems=[
            errors.Problem(path="line[0].inteface", text='unknown key; did you mean "interface"?'),
            errors.Problem(path="his", text="missing"),
        ],
    )
    assert error.exit_code == 3
    assert error.render() == (
        "error: config-invalid: 2 problems in /etc/edge-node/edge-node.toml\n"
        "\n"
        '  line[0].inteface  unknown key; did you mean "interface"?\n'
        "  his               missing\n"
        "\n"
        "hint: edge-node config init --stdout prints a complete, commented example"
    )


@pytest.mark.parametrize(
    "fields, line",
    [
        ({}, "line_down"),
        ({"line": "telecom", "lost": 3}, "line_down line=telecom lost=3"),
        ({"why": 'said "no"\nand left'}, 'line_down why="said \\"no\\"\\nand left"'),
        ({"rtt_s": 0.0123456789, "up": True, "txid": None}, "line_down rtt_s=0.0123457 up=true txid=-"),
    ],
)
def test_an_event_is_one_line_of_logfmt(fields: dict[str, object], line: str) -> None:
    assert logs.format_event("line_down", fields) == line


def test_repeated_failures_are_told_at_every_power_of_ten() -> None:
    repeated = logs.Repeated()
    told = [number for number in range(1, 1001) if repeated.failed()]
    assert told == [1, 10, 100, 1000]
    assert repeated.recovered() == 1000
    assert repeated.recovered() == 0


def test_a_histogram_puts_a_value_on_a_bound_into_that_bound() -> None:
    histogram = instruments.Histogram([0.1, 1.0])
    for value in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(value, "GET")
    assert histogram.samples() == [
        {"labels": ["GET"], "bounds": [0.1, 1.0], "counts": [2, 1, 1], "sum": pytest.approx(3.65)}
    ]


def test_a_counter_counts_by_labels() -> None:
    counter = instruments.Counter()
    counter.add("cloud", "ok")
    counter.add("cloud", "ok", by=2)
    counter.add("cloud", "refused")
    assert counter.samples() == [
        {"labels": ["cloud", "ok"], "value": 3.0},
        {"labels": ["cloud", "refused"], "value": 1.0},
    ]


@pytest.mark.parametrize("attempt, low, high", [(1, 0.5, 1.0), (2, 1.0, 2.0), (4, 4.0, 8.0), (30, 30.0, 60.0)])
def test_backoff_doubles_up_to_its_cap(attempt: int, low: float, high: float) -> None:
    assert retry.backoff_s(attempt, base_s=1, cap_s=60, jitter=0.0) == low
    assert retry.backoff_s(attempt, base_s=1, cap_s=60, jitter=0.999999) == pytest.approx(high, rel=1e-4)
