"""The history of the lines for the console: node.db read, drawn, and kept for a minute.

node.db belongs to the monitor; it is opened for reading only, once for each answer that is not kept. A missing, empty,
damaged or differently old file is a sentence on the page, never an error. One answer is worked out at a time: two
people who look at a month at once cost the clinic's pages no more than one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from edge_node.base.clock import Clock
from edge_node.config.schema import Config
from edge_node.his.line_history import Agreed, Drawing, NotRecorded, Past, Period, Place, Shown
from edge_node.i18n import text
from edge_node.journal.incidents import whole_incidents
from edge_node.journal.month import ReportedLine, line_pieces, line_smoke
from edge_node.journal.reported import reported
from edge_node.journal.words import chart_words
from edge_node.services.history_file import ask_history
from edge_node.store.connection import Connection
from edge_node.store.databases import db_path
from monitoring.chart_words import smoke_sentence
from monitoring.charts import MEDIUM, NARROW, ROW, WIDE, Canvas, smoke_svg
from monitoring.figures import availability, promised
from monitoring.sla import UNKNOWN, Window, account
from monitoring.smoke import step_length_ms

T = TypeVar("T")

MINUTE_MS = 60_000
# As wide as its place is at most (app.css); narrower places take the next one.
CANVASES: dict[Place, tuple[tuple[str, Canvas], ...]] = {
    Place.PAGE: (("wide", WIDE), ("medium", MEDIUM), ("narrow", NARROW)),
    Place.ROW: (("medium", ROW), ("narrow", NARROW)),
}

NOTHING_YET = NotRecorded(
    why=text("Nothing has been recorded yet. The service monitor writes the history, once a minute.")
)
NOTHING_KNOWN = NotRecorded(why=text("Nothing is known of this line in 30 days, which is not the same as good."))
NOT_CONFIGURED = NotRecorded(
    why=text("The configuration did not have this line when the HIS was started; start edge-his again.")
)


class LinePictures:
    """`LineHistory` over node.db."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._path = db_path(config.node.state_dir, "node")
        self._lines = {line.name: reported(line) for line in config.line}
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], tuple[int, object]] = {}

    def agreed(self, line: str) -> Agreed:
        known = self._lines.get(line)
        if known is None:
            return Agreed()
        promise = known.promise
        return Agreed(
            circuit=known.circuit,
            availability=None if promise.availability is None else promised(promise.availability),
            rtt_p95_s=promise.rtt_p95_s,
            loss=None if promise.loss is None else promised(promise.loss),
        )

    def shown(self, line: str, period: Period, place: Place, *, language: str) -> Shown | NotRecorded:
        def draw(conn: Connection, known: ReportedLine, now_ms: int) -> Shown:
            return drawn(conn, known, _window(period, now_ms), place, language=language, now_ms=now_ms)

        return self._answer(("shown", line, period, place, language), line, draw)

    def past(self, line: str) -> Sequence[Past] | NotRecorded:
        def read(conn: Connection, known: ReportedLine, now_ms: int) -> Sequence[Past] | NotRecorded:
            return past(conn, known.name, _window(Period.MONTH, now_ms), now_ms=now_ms)

        return self._answer(("past", line), line, read)

    def _answer(
        self, key: tuple[str, ...], line: str, ask: Callable[[Connection, ReportedLine, int], T | NotRecorded]
    ) -> T | NotRecorded:
        """The answer of this minute, kept or new."""
        known = self._lines.get(line)
        if known is None:
            return NOT_CONFIGURED
        with self._lock:
            now_ms = self._clock.wall_ms()
            kept = self._kept.get(key)
            if kept is not None and kept[0] == now_ms // MINUTE_MS:
                return kept[1]  # type: ignore[return-value]
            answer = self._read(lambda conn: ask(conn, known, now_ms))
            if not isinstance(answer, NotRecorded):
                # What could not be answered is asked again by the next page.
                self._kept[key] = (now_ms // MINUTE_MS, answer)
            return answer

    def _read(self, ask: Callable[[Connection], T | NotRecorded]) -> T | NotRecorded:
        def answer(conn: Connection) -> T | NotRecorded:
            if conn.execute("SELECT 1 FROM heard LIMIT 1").fetchone() is None:
                return NOTHING_YET
            return ask(conn)

        return ask_history(self._path, answer)


def _window(period: Period, now_ms: int) -> Window:
    return Window(start_ms=now_ms - period.length_ms, end_ms=now_ms)


def drawn(
    conn: Connection, line: ReportedLine, window: Window, place: Place, *, language: str, now_ms: int
) -> Shown:  # fmt: skip
    """A window of a line, in the sizes of its place."""
    smoke, words = line_smoke(conn, line, window, now_ms=now_ms), chart_words(language)
    told = account(line_pieces(conn, line.name, window, now_ms=now_ms), window)
    share = told.availability
    return Shown(
        drawings=tuple(
            Drawing(width=width, svg=smoke_svg(smoke, words, canvas=canvas, key=f"{line.name}-{width}", now_ms=now_ms))
            for width, canvas in CANVASES[place]
        ),
        sentence=smoke_sentence(smoke, words),
        step_s=step_length_ms(smoke.window) / 1000,
        availability=None if share is None else availability(share, line.promise.availability),
        outages=None if told.unknown_ms == window.length_ms else len(smoke.outages),
        outage_s=sum(span.length_s for span in smoke.outages),
        unknown_s=told.unknown_ms / 1000,
    )


def past(conn: Connection, line: str, window: Window, *, now_ms: int) -> tuple[Past, ...] | NotRecorded:
    """The incidents that reach into a window, whole, the newest first."""
    pieces = line_pieces(conn, line, window, now_ms=now_ms)
    if all(piece.state == UNKNOWN for piece in pieces):
        return NOTHING_KNOWN
    found: Iterable[Past] = (
        Past(
            ref=one.ref,
            start_ms=one.incident.start_ms,
            length_s=one.duration_s,
            state=one.incident.state,
            code=one.incident.reason.code,
            args=one.incident.reason.args,
            goes_on=one.incident.goes_on,
            excluded_s=one.incident.excluded_ms / 1000,
        )
        for one in whole_incidents(conn, line, window, now_ms=now_ms)
    )
    return tuple(sorted(found, key=lambda one: one.start_ms, reverse=True))
