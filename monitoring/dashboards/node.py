"""One clinic: is anything wrong, and where are its copies."""

from __future__ import annotations

from monitoring.dashboards.grafana import ORANGE, RED, YELLOW, Both, Dashboard, Kind, Panel, Query, Row, Unit
from monitoring.dashboards.words import (
    CLINIC,
    DESTINATION_STATES_SHOWN,
    MODE_STATES,
    OF_CLINIC,
    YES_NO,
    as_number,
    quantile,
)
from monitoring.fill import DESTINATION_STATES, MODES

MONITOR = f'edge_service_status_timestamp_seconds{{{OF_CLINIC}, service="monitor"}}'

FIRST = Row(
    title=Both("Now", "现在"),
    panels=(
        Panel(
            title=Both("Mode", "状态"), kind=Kind.STAT, unit=Unit.NONE, width=4, height=4, states=MODE_STATES,
            queries=[Query(expr=as_number("edge_mode", "mode", MODES, of=OF_CLINIC, by="clinic"))],
            about=Both("Offline is a mode and no fault: the clinic works on.",
                       "离线是一种状态，不是故障：诊所照常工作。"),
        ),
        Panel(
            title=Both("Problems", "问题"), kind=Kind.STAT, unit=Unit.COUNT, width=4, height=4, steps=[(1, ORANGE)],
            queries=[Query(expr=f"sum(edge_problems{{{OF_CLINIC}}}) or vector(0)")],
            about=Both("What `edge-node status` names.", "`edge-node status` 报告的问题数。"),
        ),
        Panel(
            title=Both("Longest RPO", "最大落后时间（RPO）"), kind=Kind.STAT, unit=Unit.SECONDS, width=4, height=4,
            steps=[(60, YELLOW), (300, RED)],
            queries=[Query(expr=f'max(edge_replica_rpo_seconds{{{OF_CLINIC}, destination!="local"}})')],
            about=Both(
                "Age of the oldest change that a destination lacks; 0 when all have all.",
                "目的地所缺的最早改动距今多久；都不缺时为 0。",
            ),
        ),
        Panel(
            title=Both("Oldest drill", "最早的恢复演练"), kind=Kind.STAT, unit=Unit.SECONDS, width=4, height=4,
            steps=[(7 * 86400, YELLOW), (9 * 86400, RED)],
            queries=[Query(expr=f"time() - min(edge_drill_last_success_timestamp_seconds{{{OF_CLINIC}}})")],
            about=Both("Since a restore succeeded, of the destination where that is longest ago.",
                       "距上次恢复演练成功多久，取最久的目的地。"),
        ),
        Panel(
            title=Both("Rejected messages", "被退回的消息"), kind=Kind.STAT, unit=Unit.COUNT, width=4, height=4,
            steps=[(1, RED)],
            queries=[Query(expr=f'sum(edge_outbox_messages{{{OF_CLINIC}, state="dead"}}) or vector(0)')],
            about=Both("Each needs a person.", "每一条都要人处理。"),
        ),
        Panel(
            title=Both("Fullest disk", "磁盘占用"), kind=Kind.STAT, unit=Unit.RATIO, width=4, height=4,
            steps=[(0.60, YELLOW), (0.75, ORANGE), (0.85, RED)],
            queries=[
                Query(expr=f"max(1 - edge_disk_free_bytes{{{OF_CLINIC}}} / edge_disk_size_bytes{{{OF_CLINIC}}})")
            ],
            about=Both("On a full disk nothing can be written.", "写满后什么都写不了。"),
        ),
        Panel(
            title=Both("Mode over time", "状态变化"), kind=Kind.TIMELINE, unit=Unit.NONE, width=24, height=4,
            states=MODE_STATES,
            queries=[
                Query(expr=as_number("edge_mode", "mode", MODES, of=OF_CLINIC, by="clinic"), legend="{{clinic}}")
            ],
            about=Both("A gap: nothing is known.", "空白：没有数据。"),
        ),
    ),
)  # fmt: skip

COPIES = Row(
    title=Both("Copies", "副本"),
    panels=(
        Panel(
            title=Both("Destinations", "目的地"), kind=Kind.TIMELINE, unit=Unit.NONE, states=DESTINATION_STATES_SHOWN,
            queries=[
                Query(
                    expr=as_number(
                        "edge_destination_state", "state", DESTINATION_STATES, of=OF_CLINIC, by="destination"
                    ),
                    legend="{{destination}}",
                )
            ],
            about=Both("Unreachable needs a line, refused needs a person.", "“连不上”等线路，“被拒绝”要人处理。"),
        ),
        Panel(
            title=Both("RPO and its limit", "落后时间（RPO）与限值"), kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[
                Query(expr=f"edge_replica_rpo_seconds{{{OF_CLINIC}}}", legend="{{destination}}"),
                Query(expr=f"edge_replica_rpo_limit_seconds{{{OF_CLINIC}}}",
                      legend=Both("limit of {{destination}}", "{{destination}} 限值")),
            ],
            about=Both("Against what was captured: see Litestream.", "与已捕获的内容比较：另见 Litestream。"),
        ),
        Panel(
            title=Both("Still to ship", "待传送"), kind=Kind.GRAPH, unit=Unit.BYTES, least=0,
            queries=[Query(expr=f"edge_replica_behind_bytes{{{OF_CLINIC}}}", legend="{{destination}}")],
            about=Both("Bytes that a destination lacks.", "目的地还缺的字节数。"),
        ),
        Panel(
            title=Both("Files shipped", "传送的文件"), kind=Kind.GRAPH, unit=Unit.PER_SECOND, least=0,
            queries=[
                Query(expr=f"rate(edge_replica_uploads_total{{{OF_CLINIC}}}[$__rate_interval])",
                      legend="{{destination}} {{outcome}}")
            ],
            about=Both("By outcome; failed ones come again.", "按结果；失败的会重试。"),
        ),
        Panel(
            title=Both("Litestream captures", "Litestream 正在捕获"), kind=Kind.TIMELINE, unit=Unit.NONE, width=8,
            states=YES_NO,
            queries=[Query(expr=f'edge_litestream_state{{{OF_CLINIC}, state="running"}}', legend="Litestream")],
            about=Both("Only while it runs is anything copied.", "只有它在运行，改动才会进入副本。"),
        ),
        Panel(
            title=Both("Local replica and its budget", "本地副本与预算"),
            kind=Kind.GRAPH, unit=Unit.BYTES, width=8, least=0,
            queries=[
                Query(expr=f"edge_replica_local_bytes{{{OF_CLINIC}}}", legend=Both("replica", "副本")),
                Query(expr=f"edge_replica_budget_bytes{{{OF_CLINIC}}}", legend=Both("budget", "预算")),
            ],
            about=Both("Oldest restore points go from 85 percent on.", "从 85% 起放弃最早的恢复点。"),
        ),
        Panel(
            title=Both("How long a restore takes", "恢复用时（RTO）"),
            kind=Kind.GRAPH, unit=Unit.SECONDS, width=8, least=0,
            queries=[Query(expr=f"edge_drill_rto_seconds{{{OF_CLINIC}}}", legend="{{destination}}")],
            about=Both("Of the last drill that succeeded.", "最近一次成功演练的用时。"),
        ),
    ),
)  # fmt: skip

WORK = Row(
    title=Both("Pages, messages, machine", "页面、消息、机器"),
    panels=(
        Panel(
            title=Both("Answer time of pages", "页面应答时间"), kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[
                Query(expr=quantile(0.5, "edge_his_request_seconds", of=OF_CLINIC), legend="p50"),
                Query(expr=quantile(0.99, "edge_his_request_seconds", of=OF_CLINIC), legend="p99"),
                Query(expr=quantile(0.99, "edge_his_commit_seconds", of=OF_CLINIC),
                      legend=Both("commit p99", "提交 p99")),
            ],
            about=Both("Scraped nodes only: pushed ones leave these at home.",
                       "只有被抓取的节点才有：推送的节点不发送这些。"),
        ),
        Panel(
            title=Both("Messages to send", "待上传的消息"), kind=Kind.GRAPH, unit=Unit.COUNT, least=0,
            queries=[Query(expr=f"edge_outbox_messages{{{OF_CLINIC}}}", legend="{{upstream}} {{state}}")],
            about=Both("While offline they wait, in order.", "离线时按顺序等待。"),
        ),
        Panel(
            title=Both("Age of each service's last word", "各服务状态的时效"),
            kind=Kind.GRAPH, unit=Unit.SECONDS, width=8,
            least=0, steps=[(60, RED)],
            queries=[
                Query(
                    expr=f"{MONITOR} - on (clinic, instance) group_right () "
                    f'edge_service_status_timestamp_seconds{{{OF_CLINIC}, service!="monitor"}}',
                    legend="{{service}}",
                )
            ],
            about=Both("Above a minute it is dead or hangs, and what it measures stands still.",
                       "超过一分钟就是停了或卡住，它测量的一切停在原处。"),
        ),
        Panel(
            title=Both("Samples to push", "待推送的样本"), kind=Kind.GRAPH, unit=Unit.COUNT, width=8, least=0,
            queries=[
                Query(expr=f"edge_remote_write_backlog_samples{{{OF_CLINIC}}}", legend=Both("waiting", "等待")),
                Query(expr=f"sum by (outcome) (rate(edge_remote_write_samples_total{{{OF_CLINIC}}}[$__rate_interval]))",
                      legend=Both("{{outcome}} a second", "每秒 {{outcome}}")),
            ],
            about=Both("They wait while no line is up, and keep their times.", "没有线路时等待，时间不变。"),
        ),
        Panel(
            title=Both("Write-ahead logs", "预写日志（WAL）"), kind=Kind.GRAPH, unit=Unit.BYTES, width=8, least=0,
            steps=[(128 * 1024 * 1024, RED)],
            queries=[Query(expr=f"edge_wal_bytes{{{OF_CLINIC}}}", legend="{{path}}")],
            about=Both("They grow while nobody checkpoints.", "没有人做检查点时会增长。"),
        ),
        Panel(
            title=Both("Certificates: time left", "证书剩余时间"), kind=Kind.GRAPH, unit=Unit.SECONDS, width=8,
            queries=[
                Query(expr=f"edge_certificate_not_after_timestamp_seconds{{{OF_CLINIC}}} - time()", legend="{{name}}")
            ],
            about=Both("An alert comes 30 days before the end.", "到期前 30 天告警。"),
        ),
    ),
)  # fmt: skip

NODE = Dashboard(
    key="node",
    title=Both("Edge node", "边缘节点"),
    about=Both("One clinic: is anything wrong, and where are its copies.", "一家诊所：有没有问题，副本在哪里。"),
    choices=(CLINIC,),
    rows=(FIRST, COPIES, WORK),
)
