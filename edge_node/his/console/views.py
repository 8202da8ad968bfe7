"""The operator's page: problems, lines, copies, outbox, services, orders; it shows and changes nothing yet."""

from __future__ import annotations

from flask import Blueprint, render_template

from edge_node.his.console import rules
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
        services=rules.services(status, now),
        copies=rules.copies(status),
        lines=rules.lines(status),
        why_now=rules.why_now(status),
        orders=rules.orders(status),
        upstreams=rules.upstreams(status, now),
        last_delivered=rules.last_delivered(status),
        problems=[(problem.code, reason_text(problem.code, problem.args)) for problem in status.problems],
        mode_words=rules.mode_words(status),
    )
