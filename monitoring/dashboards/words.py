"""What the dashboards share: states in words and colours, and expressions over metrics with one series per member."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.dashboards.grafana import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, Both, Choice, State
from monitoring.fill import DESTINATION_STATES, MODES, VERDICTS

CLINIC = Choice(
    name="clinic", title=Both("Clinic", "诊所"), metric="edge_service_status_timestamp_seconds", label="clinic"
)
OF_CLINIC = 'clinic="$clinic"'

MODE_WORDS = {
    "starting": (Both("Starting", "启动中"), GREY),
    "online": (Both("Online", "在线"), GREEN),
    "backup": (Both("Backup line", "备用线路"), YELLOW),
    "offline": (Both("Offline", "离线"), RED),
}
VERDICT_WORDS = {
    "unknown": (Both("Unknown", "未知"), GREY),
    "up": (Both("Up", "正常"), GREEN),
    "degraded": (Both("Degraded", "劣化"), ORANGE),
    "down": (Both("Down", "中断"), RED),
}
DESTINATION_WORDS = {
    "current": (Both("Current", "已对齐"), GREEN),
    "behind": (Both("Behind", "落后"), BLUE),
    "unreachable": (Both("Unreachable", "连不上"), ORANGE),
    "refused": (Both("Refused", "被拒绝"), RED),
    "paused": (Both("Paused", "暂停"), YELLOW),
}


def _numbered(members: Sequence[str], words: dict[str, tuple[Both, str]]) -> tuple[State, ...]:
    return tuple(State(number, *words[member]) for number, member in enumerate(members))


MODE_STATES = _numbered(MODES, MODE_WORDS)
VERDICT_STATES = _numbered(VERDICTS, VERDICT_WORDS)
DESTINATION_STATES_SHOWN = _numbered(DESTINATION_STATES, DESTINATION_WORDS)
YES_NO = (State(0, Both("No", "否"), GREY), State(1, Both("Yes", "是"), GREEN))


def as_number(metric: str, label: str, members: Sequence[str], *, of: str, by: str) -> str:
    """The member that holds, as its place in `members`: one series instead of one per member."""
    parts = (f'{metric}{{{of}, {label}="{member}"}} * {number}' for number, member in enumerate(members))
    return f"max by ({by}) ({' or '.join(parts)})"


def quantile(share: float, metric: str, *, of: str, by: str = "") -> str:
    """A quantile of a histogram of ours over Grafana's interval."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{of}}}[$__rate_interval])))"
