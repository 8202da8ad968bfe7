"""After which kills of the HIS does Litestream begin anew?"""

from __future__ import annotations

import pytest

from edge_node.replication.anew import SETTLED_MS, is_due

AT = 1_800_000_000_000
LATER = AT + SETTLED_MS


@pytest.mark.parametrize(
    ("said", "begun_for", "done_for", "now_ms", "due"),
    [
        pytest.param(None, None, 0, LATER, False, id="no-kill"),
        pytest.param("soon", None, 0, LATER, False, id="another-version-says-something-else"),
        pytest.param(True, None, 0, LATER, False, id="a-truth-value-is-no-time"),
        pytest.param(AT, None, 0, LATER, True, id="a-kill"),
        pytest.param(AT, None, 0, LATER - 1, False, id="it-has-not-lived-long-enough"),
        pytest.param(AT, AT, 0, LATER, False, id="under-way"),
        pytest.param(AT, None, AT, LATER, False, id="done"),
        pytest.param(AT + 5000, None, AT, LATER + 5000, True, id="the-next-kill"),
        pytest.param(AT + 5000, AT, AT - 1, LATER + 5000, True, id="the-next-kill-while-one-is-under-way"),
        pytest.param(AT, AT + 5000, AT, LATER + 5000, True, id="what-is-under-way-counts-not-what-was-done"),
        pytest.param(AT, None, 0, AT - 60_000, False, id="the-clock-was-set-back"),
    ],
)
def test_is_due(said: object, begun_for: int | None, done_for: int, now_ms: int, due: bool) -> None:
    assert is_due(said, begun_for=begun_for, done_for=done_for, now_ms=now_ms) is due
