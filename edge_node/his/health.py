"""What machines ask: does the process answer, can it write, how is the node."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from werkzeug.wrappers import Response

from edge_node.base.errors import StoreError
from edge_node.his.context import context
from edge_node.his.posture import node_status
from edge_node.store.connection import Connection
from edge_node.store.writer import Writer

blueprint = Blueprint("health", __name__)


def prove_write(conn: Connection) -> None:
    """A row that is really written; only asked for while writing fails, since every write travels to every copy."""
    conn.execute(
        "INSERT INTO sequence_block (name, epoch, next) VALUES ('write-proof', 0, 1) "
        "ON CONFLICT (name, epoch) DO UPDATE SET next = next + 1"
    )


def writes(writer: Writer) -> str | None:
    """None when the HIS can write, else why not.

    While all is well it takes the write lock and changes nothing; after a failure it tries a real row, which also
    ends the failure once there is room again.
    """
    try:
        writer.submit(prove_write if writer.last_error else lambda conn: None)
    except StoreError as error:
        return error.message
    return writer.last_error


@blueprint.get("/healthz")
def healthz() -> tuple[str, dict[str, str]]:
    """The process answers."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/readyz")
def readyz() -> tuple[str, int, dict[str, str]]:
    """It can write; no line matters for that."""
    owner = context().superseded()
    problem = owner.refusal().message if owner else writes(context().writer)
    return f"{problem or 'ok'}\n", 503 if problem else 200, {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/api/status")
def status() -> Response:
    """The document of `edge-node status --json`; no patient data."""
    document: dict[str, Any] = node_status().as_json()
    return jsonify(document)
