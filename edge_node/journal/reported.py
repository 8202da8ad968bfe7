"""A line of the configuration as reports and charts need it."""

from __future__ import annotations

from edge_node.config.line_schema import Line, TargetRole
from edge_node.journal.month import ReportedLine
from monitoring.report import Promise


def reported(line: Line) -> ReportedLine:
    """What was agreed for the line, and which of its targets count."""
    contract = line.contract
    return ReportedLine(
        name=line.name,
        carrier=line.carrier,
        circuit=line.circuit,
        promise=Promise()
        if contract is None
        else Promise(availability=contract.availability, rtt_p95_s=contract.rtt_p95_s, loss=contract.loss),
        # As the watcher calls them in its traces.
        targets=tuple(
            str(target.address) if target.port is None else f"{target.address}:{target.port}"
            for target in line.target
            if target.role is TargetRole.CLOUD
        ),
        limit_s=line.detect.rtt_bad_s,
    )
