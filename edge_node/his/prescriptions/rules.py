"""All rules of a prescription, in the order in which a doctor reads what they find. Pure; nothing here waits or asks.

The same check runs while the doctor writes, at the signature, and again before the pharmacist: a finding never depends
on who asks, nor on whether a line is up.
"""

from __future__ import annotations

from edge_node.his.prescriptions.control_rules import antibacterial_findings, control_findings
from edge_node.his.prescriptions.finding import Finding, in_order
from edge_node.his.prescriptions.model import Situation
from edge_node.his.prescriptions.patient_rules import patient_findings
from edge_node.his.prescriptions.sheet_rules import sheet_findings
from edge_node.his.prescriptions.supply_rules import supply_findings
from edge_node.his.prescriptions.together_rules import together_findings

_RULES = (
    sheet_findings,
    control_findings,
    patient_findings,
    antibacterial_findings,
    together_findings,
    supply_findings,
)


def check(situation: Situation) -> tuple[Finding, ...]:
    """Everything that speaks against the sheet, or is worth a look: stops, then questions, then notes."""
    return in_order(finding for rule in _RULES for finding in rule(situation))
