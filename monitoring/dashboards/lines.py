"""The lines of one clinic: which is used, how each is, and what the watcher did."""

from __future__ import annotations

from monitoring.dashboards.grafana import ORANGE, RED, Both, Choice, Dashboard, Kind, Panel, Query, Row, Unit
from monitoring.dashboards.words import CLINIC, OF_CLINIC, VERDICT_STATES, YES_NO, as_number, quantile
from monitoring.fill import VERDICTS

LINE = Choice(
    name="line", title=Both("Line", "线路"), metric='edge_line_info{clinic="$clinic"}', label="line", several=True
)
OF = f'{OF_CLINIC}, line=~"$line"'

FIRST = Row(
    title=Both("Now", "现在"),
    panels=(
        Panel(
            title=Both("Verdicts", "判定"), kind=Kind.STAT, unit=Unit.NONE, width=12, height=4, states=VERDICT_STATES,
            queries=[
                Query(expr=as_number("edge_line_verdict", "verdict", VERDICTS, of=OF, by="line"), legend="{{line}}")
            ],
            about=Both("What the node believes of each line.", "节点对每条线路的判断。"),
        ),
        Panel(
            title=Both("In use", "在用"), kind=Kind.STAT, unit=Unit.NONE, width=6, height=4, states=YES_NO,
            queries=[Query(expr=f"edge_line_active{{{OF}}}", legend="{{line}}")],
            about=Both("None while the node is offline.", "离线时没有。"),
        ),
        Panel(
            title=Both("Carriers", "运营商"), kind=Kind.TABLE, unit=Unit.NONE, width=6, height=4,
            queries=[Query(expr=f"max by (line, carrier) (edge_line_info{{{OF}}})")],
            about=Both("Whose line it is.", "线路属于谁。"),
        ),
        Panel(
            title=Both("Verdicts over time", "判定变化"), kind=Kind.TIMELINE, unit=Unit.NONE, width=24, height=6,
            states=VERDICT_STATES,
            queries=[
                Query(expr=as_number("edge_line_verdict", "verdict", VERDICTS, of=OF, by="line"), legend="{{line}}")
            ],
            about=Both("Unknown is not down.", "未知不等于中断。"),
        ),
        Panel(
            title=Both("In use over time", "在用变化"), kind=Kind.TIMELINE, unit=Unit.NONE, width=24, height=5,
            states=YES_NO, queries=[Query(expr=f"edge_line_active{{{OF}}}", legend="{{line}}")],
            about=Both("Each change is in `edge-node line history`, with its reason.",
                       "每次变化及原因见 `edge-node line history`。"),
        ),
    ),
)  # fmt: skip

QUALITY = Row(
    title=Both("Quality", "质量"),
    panels=(
        Panel(
            title=Both("Round trip", "往返时延"), kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[
                Query(expr=quantile(0.5, "edge_line_rtt_seconds", of=OF, by="line"), legend="{{line}} p50"),
                Query(expr=quantile(0.95, "edge_line_rtt_seconds", of=OF, by="line"), legend="{{line}} p95"),
            ],
            about=Both("Of all probes that were answered.", "所有有应答的探测。"),
        ),
        Panel(
            title=Both("Loss", "丢包"), kind=Kind.GRAPH, unit=Unit.RATIO, least=0, steps=[(0.10, RED)],
            queries=[
                Query(
                    expr=f'min by (line, direction) (edge_line_loss_ratio{{{OF}}})', legend="{{line}} {{direction}}"
                )
            ],
            about=Both("Of the kindest target: what is a line's fault is seen by all. 10 % is the default limit.",
                       "取最好的目标：线路的问题所有目标都看得到。默认限值 10%。"),
        ),
        Panel(
            title=Both("Jitter", "时延抖动"), kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[Query(expr=f"min by (line) (edge_line_jitter_seconds{{{OF}}})", legend="{{line}}")],
            about=Both("Mean difference between successive round trips.", "相邻往返时延之差的平均。"),
        ),
        Panel(
            title=Both("Full-size packets pass", "大包可通"), kind=Kind.TIMELINE, unit=Unit.NONE, states=YES_NO,
            queries=[Query(expr=f"edge_line_mtu_ok{{{OF}}}", legend="{{line}}")],
            about=Both("No, and nothing is lost: the route keeps to the size that passes.",
                       "“否”也不会丢：路由已限制为可通过的大小。"),
        ),
        Panel(
            title=Both("Probes by outcome", "探测结果"), kind=Kind.GRAPH, unit=Unit.PER_SECOND, least=0,
            queries=[
                Query(expr=f"sum by (line, outcome) (rate(edge_line_probes_total{{{OF}}}[$__rate_interval]))",
                      legend="{{line}} {{outcome}}")
            ],
            about=Both("Blind ones prove nothing.", "“盲”的不作证据。"),
        ),
        Panel(
            title=Both("Blind time", "未能探测的时间"),
            kind=Kind.GRAPH, unit=Unit.RATIO, least=0, steps=[(0.05, ORANGE)],
            queries=[Query(expr=f"rate(edge_line_blind_seconds_total{{{OF_CLINIC}}}[$__rate_interval])")],
            about=Both("The machine was too busy to probe.", "机器太忙，没能探测。"),
        ),
    ),
)  # fmt: skip

DEEDS = Row(
    title=Both("What the node did", "节点的动作"),
    panels=(
        Panel(
            title=Both("Switches an hour", "每小时切换次数"), kind=Kind.GRAPH, unit=Unit.COUNT, least=0,
            queries=[
                Query(expr=f"sum by (from, to, reason) (increase(edge_line_switches_total{{{OF_CLINIC}}}[1h]))",
                      legend="{{from}} → {{to}} {{reason}}")
            ],
            about=Both("By reason; failover/README.md lists them.", "按原因；列表见 failover/README.md。"),
        ),
        Panel(
            title=Both("How long a switch took", "切换用时"), kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[
                Query(
                    expr="histogram_quantile(0.95, sum by (le) "
                    f"(increase(edge_line_switch_seconds_bucket{{{OF_CLINIC}}}[1d])))",
                    legend=Both("p95 of a day", "一天 p95"),
                )
            ],
            about=Both("From the first lost probe to traffic on another line.",
                       "从第一个丢失的探测到流量走另一条线路。"),
        ),
        Panel(
            title=Both("Time until a line may be used again", "可再用前的等待期"),
            kind=Kind.GRAPH, unit=Unit.SECONDS, least=0,
            queries=[Query(expr=f"edge_line_hold_remaining_seconds{{{OF}}}", legend="{{line}}")],
            about=Both("It doubles with each fall.", "每中断一次加倍。"),
        ),
        Panel(
            title=Both("Penalty for flapping", "抖动罚分"),
            kind=Kind.GRAPH, unit=Unit.COUNT, least=0, steps=[(2500, RED)],
            queries=[Query(expr=f"edge_line_flap_penalty{{{OF}}}", legend="{{line}}")],
            about=Both("Above 2500, by default, the line is kept out of use.", "默认超过 2500 时不使用该线路。"),
        ),
    ),
)  # fmt: skip

LINES = Dashboard(
    key="lines",
    title=Both("Edge node: lines", "边缘节点：线路"),
    about=Both("The lines of one clinic: which is used, how each is.", "一家诊所的线路：在用哪条，各条如何。"),
    choices=(CLINIC, LINE),
    rows=(FIRST, QUALITY, DEEDS),
)
