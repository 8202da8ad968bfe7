"""The screen in the waiting room, the room that a computer calls to, and calling somebody again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from edge_node.his import audit, request_key
from edge_node.his.calling import queries, rooms
from edge_node.his.calling.rules import ROOM_MAX, Shows, board, parse_room
from edge_node.his.context import context, reader, write
from edge_node.his.encounters import queries as encounters
from edge_node.his.forms import FieldProblem, by_field
from edge_node.his.language import today
from edge_node.his.reception import queries as reception
from edge_node.his.reception.rules import Status
from edge_node.his.security import who
from edge_node.store.connection import Connection

UNPROCESSABLE = 422
# Without script the page asks for itself again; with script as often, without being drawn anew.
EVERY_S = 5

blueprint = Blueprint("calling", __name__, url_prefix="/calling")


@blueprint.app_context_processor
def words() -> dict[str, Any]:
    """What the doctor's queue needs."""
    return {"my_room": rooms.room}


@blueprint.get("")
def index() -> str:
    """The screen: of the whole clinic, or of the departments that the address names by their codes.

    Open to the clinic's network, for a screen at which nobody signs in; until it is switched on it says nothing.
    """
    now, shows = context().clock.wall_ms(), queries.shows(reader())
    everywhere = reception.departments(reader()) if shows is not Shows.OFF else []
    named = set(request.args.getlist("department"))
    asked = [one for one in everywhere if one.code in named] or everywhere
    waiting = queries.waiting(reader(), today()) if asked else []
    return render_template(
        "calling/index.html", rows=board(asked, waiting, shows=shows, now=now), shows=shows, Shows=Shows, now=now,
        every_s=EVERY_S, address=request.full_path.rstrip("?"),
    )  # fmt: skip


@blueprint.get("/room")
def room() -> str:
    """Which room patients are called to from this computer."""
    return _room_page(rooms.room())


@blueprint.post("/room")
def choose_room() -> Response | tuple[str, int]:
    """Choose the room of this computer, or none."""
    typed = request.form.get("room", "")
    chosen = parse_room(typed)
    if not isinstance(chosen, str):
        return _room_page(typed, [FieldProblem(field="room", text=chosen)]), UNPROCESSABLE
    return rooms.keep(make_response(redirect(url_for("encounters.index"))), chosen)


@blueprint.post("/<encounter_id>/again")
def again(encounter_id: str) -> Response:
    """Call somebody again who has not come in yet; to the room of this computer."""
    encounter = encounters.get(reader(), encounter_id) or abort(404)
    now, by, to = audit.moment(), who(), rooms.room()
    token = request_key.posted(request.form)

    def work(conn: Connection) -> str:
        entry = reception.entry(conn, encounter.registration_id)
        if entry is not None and entry.status is Status.WITH_DOCTOR:
            reception.called(conn, entry.registration_id, room=to, at=now.at)
            audit.record(
                conn, by, "called_again", f"encounter:{encounter_id}", {"room": to} if to else {}, at=now.at,
                clock_state=now.clock_state,
            )  # fmt: skip
        return encounter_id

    write(lambda conn: request_key.once(conn, token, work, at=now.at))
    return redirect(url_for("encounters.show", encounter_id=encounter_id))


def _room_page(typed: str, problems: list[FieldProblem] | None = None) -> str:
    return render_template(
        "calling/room.html", values={"room": typed}, problems=problems or [], errors=by_field(problems or []),
        room_max=ROOM_MAX,
    )  # fmt: skip
