"""The record of the lines: transitions, traces, counters. A thread writes, so that no disk delays a failover.

Transitions go to `links_dir/transitions.jsonl` at once and durably; what cannot be written waits, and is written when
the disk takes it again. Traces go to the day's file in batches. A disk that hangs costs samples, never a decision.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge_node.base.clock import Clock, boot_id, utc_text
from edge_node.base.files import append_line, atomic_write
from edge_node.base.instruments import Counter, Histogram
from edge_node.base.logs import Repeated, event
from failover.core.model import Code, LinkState, Mode, Reason, Verdict, args_of
from failover.core.path_mtu import PathMtu
from failover.netlink.sockets import Ended
from failover.probes.outcome import Outcome, Sample
from failover.trace import LinkChange, Moment, TraceWriter
from failover.watcher import Judged, Move

FLUSH_EVERY_S = 10.0
# Of what waits for a disk that takes nothing: some minutes of samples, and every transition that is worth reading.
MOST_ENTRIES, MOST_TRANSITIONS = 50_000, 1_000
# Some thirty thousand transitions: more than a year of any line that is worth its price.
LARGEST_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 64 * 1024
_LEVELS: Final[Mapping[Verdict, str]] = {Verdict.DOWN: "warning", Verdict.DEGRADED: "warning"}
_RTT_BOUNDS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0),
)
_SWITCH_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
NO_LINE = "none"


def reason_json(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code.value, "args": dict(args_of(reason))}


class LineRecord:
    """What the watcher and its probes tell. Telling never waits; `is_changed` says that something is worth showing."""

    def __init__(self, links_dir: Path, clock: Clock) -> None:
        self._clock = clock
        self.path = links_dir / "transitions.jsonl"
        self._journal = Journal(self.path)
        self._traces = TraceWriter(links_dir / "traces")
        self._transitions: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._entries: deque[Sample | LinkChange] = deque(maxlen=MOST_ENTRIES)
        self._failing = {"transitions": Repeated(), "traces": Repeated()}
        self._said: dict[str, str] = {}
        self._thread = threading.Thread(target=self._write, name="line-record", daemon=True)
        self.is_changed = False
        self.offline_until: float | None = None
        self.was_offline = False  # when the watcher before this one ended
        self.transitions, self.switches, self.probes = Counter(), Counter(), Counter()
        self.connections_ended = Counter()
        self.rtt_seconds, self.switch_seconds = Histogram(_RTT_BOUNDS), Histogram(_SWITCH_BOUNDS)

    # ---- told by the watcher's loop

    def sample(self, sample: Sample) -> None:
        self._entries.append(sample)
        self.probes.add(sample.line, sample.target, sample.outcome)
        if sample.rtt_s is not None and sample.outcome is Outcome.ANSWERED:
            self.rtt_seconds.observe(sample.rtt_s, sample.line, sample.target)

    def link_changed(self, at: float, line: str, link: LinkState) -> None:
        self._entries.append(LinkChange(at, line, link))
        event("link_changed", line=line, present=link.present, carrier=link.carrier, address=link.has_address,
              route=link.has_route)  # fmt: skip
        self.is_changed = True

    def judged(self, judged: Judged) -> None:
        level = _LEVELS.get(judged.after, "info")
        event(f"line_{judged.after}", level=level, line=judged.line, before=judged.before,
              reason=judged.reason.code, why=judged.reason)  # fmt: skip
        self._keep("verdict", judged.line, judged.before, judged.after, judged.at, judged.reason)

    def moved(self, move: Move) -> None:
        before, after, code = move.before, move.after, move.reason.code.value
        event(f"mode_{after.mode}", level="warning" if after.mode is Mode.OFFLINE else "info", line=after.line,
              before=before.mode, before_line=before.line, reason=code, why=move.reason)  # fmt: skip
        if before.mode is Mode.OFFLINE or (self.was_offline and after.mode is not Mode.OFFLINE):
            self.offline_until = move.at
        self.was_offline = False
        self.transitions.add(before.mode, after.mode, code)
        if before.routed is not None and after.line is not None and before.routed != after.line:
            self.switches.add(before.routed, after.line, code)
        lines = {"from_line": before.line, "to_line": after.line}
        self._keep("mode", "node", before.mode, after.mode, move.at, move.reason, **lines)

    def switched(self, seconds: float) -> None:
        self.switch_seconds.observe(seconds)

    def ended(self, at: float, line: str, connections: Ended, translations: Ended) -> None:
        why_not = connections.why_not or translations.why_not
        event("connections_ended", level="info" if why_not is None else "error", line=line, found=connections.found,
              ended=connections.ended, translations=translations.ended, why_not=why_not and why_not.sentence,
              error=connections.error or translations.error)  # fmt: skip
        self.connections_ended.add(line, by=connections.ended)
        reason = Reason(Code.CONNECTIONS_ENDED, line=line, found=connections.found, ended=connections.ended,
                        translations=translations.ended)  # fmt: skip
        self._keep("connections", line, "", "", at, reason)

    def mtu_changed(self, at: float, line: str, path: PathMtu) -> None:
        event("mtu_changed", level="info" if path.is_ok else "warning", line=line, passes=path.passes,
              expected=path.expected, told=path.is_told)  # fmt: skip
        reason = Reason(Code.MTU, mtu=path.passes, expected=path.expected)
        self._keep("mtu", line, "", "whole" if path.is_ok else "small", at, reason)

    def _keep(
        self, kind: str, subject: str, before: str, after: str, at: float, reason: Reason, **more: str | None
    ) -> None:
        wall_ms = self._clock.wall_ms() - round((self._clock.boottime() - at) * 1000)
        self._transitions.put(
            {
                "at": utc_text(wall_ms),
                "boottime": round(at, 3),
                "boot_id": boot_id(),
                "kind": kind,
                "subject": subject,
                "from": str(before),
                "to": str(after),
                **more,
                "reason": reason_json(reason),
            }
        )
        self.is_changed = True

    def problems(self) -> list[dict[str, Any]]:
        """What cannot be written now."""
        said = dict(self._said)
        if len(self._entries) == MOST_ENTRIES:
            said.setdefault("traces", "the disk does not answer")
        return [{"code": f"{what}-not-written", "args": {"why": why}} for what, why in sorted(said.items())]

    # ---- the writing thread

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, within_s: float) -> None:
        """Write what is left; a disk that takes longer than `within_s` is not waited for."""
        self._transitions.put(None)
        self._thread.join(within_s)

    def _write(self) -> None:
        waiting: deque[dict[str, Any]] = deque(maxlen=MOST_TRANSITIONS)
        flush_at, is_over = self._clock.boottime() + FLUSH_EVERY_S, False
        while not is_over:
            with contextlib.suppress(queue.Empty):
                told = self._transitions.get(timeout=max(0.0, flush_at - self._clock.boottime()))
                is_over = told is None
                if told is not None:
                    waiting.append(told)
            self._write_transitions(waiting)
            if is_over or self._clock.boottime() >= flush_at:
                self._write_traces()
                flush_at = self._clock.boottime() + FLUSH_EVERY_S

    def _write_transitions(self, waiting: deque[dict[str, Any]]) -> None:
        try:
            while waiting:
                self._journal.append(waiting[0])
                waiting.popleft()
        except OSError as error:
            self._failed("transitions", error)
        else:
            self._succeeded("transitions")

    def _write_traces(self) -> None:
        batch = [self._entries.popleft() for _ in range(len(self._entries))]
        moment = Moment(boot_id(), self._clock.boottime(), self._clock.wall_ms())
        try:
            if batch:
                self._traces.append(batch, moment)
        except OSError as error:
            self._failed("traces", error)
        else:
            self._succeeded("traces")

    def _failed(self, what: str, error: OSError) -> None:
        self._said[what] = error.strerror or str(error)
        if self._failing[what].failed():
            event(f"{what}_not_written", level="error", error=error, times=self._failing[what].count)

    def _succeeded(self, what: str) -> None:
        self._said.pop(what, None)
        if times := self._failing[what].recovered():
            event(f"{what}_written_again", failed=times)


class Journal:
    """An append-only file of numbered JSON lines: numbers go on after a restart, a torn end is cut off first.

    Above `largest_bytes` its older half goes; a reader that follows it knows by the numbers where it was.
    """

    def __init__(self, path: Path, *, largest_bytes: int = LARGEST_BYTES) -> None:
        self._path, self._largest_bytes = path, largest_bytes
        self._seq: int | None = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line, durably. Raises OSError, and then the line does not stand in the file."""
        if self._seq is None:
            self._path.parent.mkdir(mode=0o2750, parents=True, exist_ok=True)
            self._seq = last_seq(self._path)
        shorten(self._path, self._largest_bytes)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        with os.fdopen(handle, "ab") as file:
            before = os.fstat(handle).st_size
            try:
                append_line(file, {"seq": self._seq + 1, **record})
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, before)
                raise
        self._seq += 1


def shorten(path: Path, largest_bytes: int) -> None:
    """Keep the newer half of a file of lines that has grown too large. Raises OSError."""
    if not path.exists() or path.stat().st_size <= largest_bytes:
        return
    with path.open("rb") as file:
        file.seek(path.stat().st_size - largest_bytes // 2)
        file.readline()  # the rest of the line that is cut
        atomic_write(path, file.read())


def last_seq(path: Path) -> int:
    """The number of the last whole line, 0 where there is none; cuts off what follows it."""
    try:
        with path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            tail = file.read()
            while tail:
                end = tail.rfind(b"\n") + 1
                line = tail[tail.rfind(b"\n", 0, max(0, end - 1)) + 1 : end]
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    seq = int(json.loads(line)["seq"])
                    if start + end < size:
                        file.truncate(start + end)
                    return seq
                tail = tail[: end - len(line)]
            if start == 0:
                file.truncate(0)
            return 0
    except FileNotFoundError:
        return 0
