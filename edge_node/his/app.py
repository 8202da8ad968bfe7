"""The application put together; it only wires."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, g, redirect, request
from werkzeug.wrappers import Response

from edge_node import __version__
from edge_node.base.instruments import Histogram
from edge_node.his import console, errors, health, language, posture, request_key, security, trust
from edge_node.his.calling.views import blueprint as calling
from edge_node.his.context import EXTENSION, HisContext, context
from edge_node.his.encounters import views as encounters
from edge_node.his.incoming import Incoming
from edge_node.his.orders.views import blueprint as orders
from edge_node.his.patients.merge_views import blueprint as patients
from edge_node.his.permissions import TABLE, Permissions
from edge_node.his.reception.views import blueprint as reception
from edge_node.his.settings.views import blueprint as settings
from edge_node.his.staff import proofs
from edge_node.his.staff.factor_views import blueprint as factor
from edge_node.his.staff.model import ROLE_NAMES, Role
from edge_node.his.staff.people_views import blueprint as people
from edge_node.his.staff.session_views import blueprint as sessions
from edge_node.his.staff.views import blueprint as staff
from edge_node.his.traces.views import blueprint as traces
from edge_node.his.triage.views import blueprint as triage
from edge_node.i18n import text

# Upper bounds in seconds; a page is meant to take less than 0.3.
REQUEST_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# As labels of a figure; the word in a request is whatever somebody sends, and each one would be a series for ever.
METHODS = ("GET", "HEAD", "POST", "OPTIONS")
# A long note with everything around it is far below; more is not a form of ours.
MAX_FORM_BYTES = 1024 * 1024


def create_app(his: HisContext, *, secret_key: str, secure: bool, request_seconds: Histogram | None = None) -> Flask:
    """The HIS as a WSGI application.

    `secure` when it is served over TLS. `request_seconds` takes the duration of every request by route, method and
    status.
    """
    app = Flask(__name__)
    app.request_class = Incoming
    app.secret_key = secret_key
    app.config.update(MAX_CONTENT_LENGTH=MAX_FORM_BYTES, MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES)
    app.url_map.strict_slashes = False
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[EXTENSION] = his
    _measure(app, request_seconds or Histogram(REQUEST_BOUNDS_S))
    language.init_app(app)
    permissions = Permissions(TABLE)
    security.init_app(app, permissions, secure=secure)
    errors.init_app(app)
    for blueprint in (
        staff, reception, triage, encounters.blueprint, patients, console.blueprint, posture.blueprint, trust.blueprint,
        health.blueprint, factor, traces, settings, sessions, people, calling, orders,
    ):  # fmt: skip
        app.register_blueprint(blueprint)
    app.add_url_rule("/", "home", lambda: redirect(security.home()))
    permissions.check(app.view_functions)
    app.context_processor(_page_values)
    app.jinja_env.globals.update(
        new_request_key=request_key.new, copy_facts=posture.copy_facts, proof_needed=proofs.is_needed
    )
    return app


def _measure(app: Flask, seconds: Histogram) -> None:
    """Observe every request; the route is the rule, never the address, so that no identifier becomes a label."""

    @app.before_request
    def begin() -> None:
        g.begun = context().clock.boottime()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "(none)"
        method = request.method if request.method in METHODS else "(other)"
        seconds.observe(context().clock.boottime() - g.begun, route, method, str(response.status_code))
        return response


@cache
def asset(name: str) -> str:
    """The address of a static file, changed with its content so that browsers keep it for ever."""
    content = (Path(__file__).parent / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _page_values() -> dict[str, Any]:
    """What every template may use."""
    return {
        "asset": asset,
        "clinic_name": context().clinic_name,
        "contact": context().contact,
        "posture_line": posture.current_line(),
        "program_version": __version__,
        "replaced": errors.replaced(owner) if (owner := context().superseded()) else None,
        **_person(),
    }


def _person() -> dict[str, str]:
    found = security.signed_in()
    if found is None:
        return {}
    roles = language.say(text(", ")).join(language.say(ROLE_NAMES[role]) for role in Role if role in found.staff.roles)
    return {"role_names": roles, "person_title": found.staff.title or roles}
