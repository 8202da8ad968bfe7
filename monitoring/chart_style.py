"""The style of the charts. A page's style sheet has the same rules (a test of the charts lists their classes)."""

CHART_CSS = """\
svg.chart { display: block; width: 100%; height: auto; background: #fff; }
svg.chart--s { max-width: 470px; }
.c-grid { stroke: #e3e8ec; stroke-width: 1; }
.c-axis { stroke: #9aa5af; stroke-width: 1; }
.c-tick { font-size: 12px; fill: #44515c; }
.c-lab { font-size: 12px; font-weight: 600; fill: #17212b; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.c-note { font-size: 12px; fill: #44515c; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.c-smoke { fill: #b9c4cc; opacity: .55; }
.c-smoke2 { fill: #93a2ad; opacity: .55; }
.c-peak { fill: none; stroke: #b9c4cc; stroke-width: 1; }
.c-over-top { fill: #5d6a75; }
.c-med { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: butt; }
.c-l0 { stroke: #0b5f66; }
.c-l1 { stroke: #b36b00; }
.c-l2 { stroke: #c2410c; }
.c-l3 { stroke: #8f1713; }
.c-b1 { fill: #d99a2b; }
.c-b2 { fill: #c2410c; }
.c-b3 { fill: #8f1713; }
.c-limit { fill: none; stroke: #44515c; stroke-width: 1; stroke-dasharray: 5 4; }
.c-promise { fill: none; stroke: #17212b; stroke-width: 1.2; stroke-dasharray: 10 3 2 3; }
.c-out { stroke: #8f1713; stroke-width: 1; }
.c-blind { stroke: #7d8a95; stroke-width: 1; stroke-dasharray: 3 3; }
.c-noact { fill: #dfe4e8; }
.c-act { fill: #0b5f66; }
.c-hold { fill: #fdf0d5; stroke: #b36b00; stroke-width: 1; }
.c-step { fill: none; stroke: #0b5f66; stroke-width: 2; }
.c-fill { fill: #0b5f66; opacity: .12; }
.c-over { fill: none; stroke: #8f1713; stroke-width: 3; }
"""
