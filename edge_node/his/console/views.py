"""The operator's page: services, copies, problems; it shows and changes nothing yet."""

from __future__ import annotations

from flask import Blueprint, render_template

from edge_node.his.console.rules import copies, services
from edge_node.his.context import context
from edge_node.his.posture import node_status
from edge_node.his.security import require
from edge_node.his.staff.model import Role
from edge_node.i18n import reason_text

blueprint = Blueprint("console", __name__, url_prefix="/console")


@blueprint.get("")
@require(Role.MANAGER, Role.ADMIN)
def index() -> str:
    """Everything at a glance."""
    status, now = node_status(), context().clock.wall_ms()
    return render_template(
        "console/index.html",
        status=status,
        now=now,
        services=services(status, now),
        copies=copies(status),
        problems=[(problem.code, reason_text(problem.code, problem.args)) for problem in status.problems],
        mode_reason=reason_text(status.mode_reason.code, status.mode_reason.args),
    )
