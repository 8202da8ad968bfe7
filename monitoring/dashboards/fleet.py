"""All clinics: how many need somebody, which, and whose fault it is."""

from __future__ import annotations

from monitoring.dashboards.grafana import ORANGE, RED, YELLOW, Both, Dashboard, Kind, Panel, Query, Row, Unit

HEARD = "edge_service_status_timestamp_seconds"


def counted(title: Both, expr: str, about: Both, *, color: str = RED) -> Panel:
    """How many clinics; none is green."""
    return Panel(
        title=title, kind=Kind.STAT, unit=Unit.COUNT, width=3, height=4, steps=[(1, color)], about=about,
        queries=[Query(expr=f"count(count by (clinic) ({expr})) or vector(0)")],
    )  # fmt: skip


FIRST = Row(
    title=Both("Clinics that need somebody", "需要处理的诊所"),
    panels=(
        counted(Both("Silent", "没有消息"), f"edge_node_inventory unless on (clinic) {HEARD}",
                Both("In the inventory, and not heard.", "在清单里，但没有消息。")),
        counted(Both("Offline", "离线"), 'edge_mode{mode="offline"} == 1',
                Both("They work on locally.", "在本地照常工作。"), color=ORANGE),
        counted(Both("On a backup line", "备用线路"), 'edge_mode{mode="backup"} == 1',
                Both("Their reserve is gone.", "没有后备了。"), color=YELLOW),
        counted(Both("RPO over its limit", "落后超限"),
                "edge_replica_rpo_seconds > on (clinic, instance, destination) edge_replica_rpo_limit_seconds",
                Both("A destination lacks older changes than it may.", "有目的地缺的改动超过限值。")),
        counted(Both("Nothing captured", "未捕获"), 'edge_litestream_state{state="running"} == 0',
                Both("Litestream is stopped or failing.", "Litestream 停了或失败。")),
        counted(Both("Drill overdue", "演练过期"), "time() - edge_drill_last_success_timestamp_seconds > 9 * 86400",
                Both("No restore was proven for nine days.", "九天没有恢复演练成功。"), color=ORANGE),
        counted(Both("Rejected messages", "有退回消息"), 'edge_outbox_messages{state="dead"} > 0',
                Both("Each needs a person.", "每条都要人处理。"), color=ORANGE),
        counted(Both("Other problems", "有问题"), "edge_problems > 0",
                Both("`edge-node status` names something.", "`edge-node status` 报告了问题。"), color=YELLOW),
    ),
)  # fmt: skip

WHICH = Row(
    title=Both("Which", "是哪些"),
    panels=(
        Panel(
            title=Both("Alerts that fire", "正在触发的告警"), kind=Kind.TABLE, unit=Unit.COUNT, width=12, height=9,
            queries=[
                Query(expr='sum by (alertname, severity, clinic, carrier, region) (ALERTS{alertstate="firing"})')
            ],
            about=Both("Before the Alertmanager silences consequences.", "Alertmanager 压下后果之前的。"),
        ),
        Panel(
            title=Both("Problems by clinic", "各诊所的问题"), kind=Kind.TABLE, unit=Unit.COUNT, width=12, height=9,
            queries=[Query(expr="sum by (clinic, code) (edge_problems)")],
            about=Both("Codes; `edge-node status` has the sentence.", "代码；`edge-node status` 有说明。"),
        ),
        Panel(
            title=Both("Clinics with a line down, by carrier", "各运营商线路中断的诊所"),
            kind=Kind.GRAPH, unit=Unit.COUNT,
            least=0, queries=[Query(expr="carrier:edge_line_clinics_down:count", legend="{{carrier}} {{region}}")],
            about=Both("Many at once are one fault of the carrier.", "同时许多家就是运营商的一个故障。"),
        ),
        Panel(
            title=Both("Longest RPO, ten clinics", "落后最久的十家"), kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[
                Query(expr='topk(10, max by (clinic) (edge_replica_rpo_seconds{destination!="local"}))',
                      legend="{{clinic}}")
            ],
            about=Both("Of the worst destination of each.", "各取最差的目的地。"),
        ),
        Panel(
            title=Both("Fullest disks, ten clinics", "磁盘最满的十家"), kind=Kind.GRAPH, unit=Unit.RATIO, least=0,
            steps=[(0.85, RED)],
            queries=[Query(expr="topk(10, max by (clinic) (edge:disk_used:ratio))", legend="{{clinic}}")],
            about=Both("A page comes at 85 percent.", "85% 时立即通知。"),
        ),
        Panel(
            title=Both("Versions", "版本"), kind=Kind.TABLE, unit=Unit.COUNT, width=12,
            queries=[Query(expr="count by (version, litestream, sqlite) (edge_build_info)")],
            about=Both("How many clinics run what.", "多少诊所运行哪个版本。"),
        ),
    ),
)  # fmt: skip

FLEET = Dashboard(
    key="fleet",
    title=Both("Edge nodes: fleet", "边缘节点：全网"),
    about=Both("All clinics: how many need somebody, which, and why.", "所有诊所：多少家要处理，是哪些，为什么。"),
    rows=(FIRST, WHICH),
    since="now-24h",
)
