"""The staff of `staff.py` as a process on the clinic's LAN, and what they met: seen from a test."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.lab.staff import PAIRS, RATE_PER_S
from tests.lab.topology import ROOT, Laboratory
from tests.support.waiting import until

SEATED_WITHIN_S, ENDS_WITHIN_S = 30.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of the staff. `late_s` is how long after its time it was sent, because others before it took long."""

    kind: str
    began_s: float
    seconds: float
    status: int
    late_s: float

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


@dataclass
class Load:
    """The staff at work. Times are those of the monotonic clock, which all namespaces share."""

    folder: Path
    pairs: int
    process: subprocess.Popen[bytes]

    def requests(self, since_s: float = 0.0, until_s: float = math.inf) -> list[Request]:
        """The requests that were sent in this span and have ended."""
        rows = (Request(**row) for row in _rows(self.folder / "requests.jsonl"))
        return [row for row in rows if since_s <= row.began_s < until_s]

    def answered(self, what: str, since_s: float = 0.0, until_s: float = math.inf) -> list[dict[str, Any]]:
        """What the clinic was promised: `registration` (id, phone) or `encounter` (id, versions)."""
        rows = _rows(self.folder / "answered.jsonl")
        return [row for row in rows if row["what"] == what and since_s <= row["at_s"] < until_s]

    def stop(self) -> None:
        """Everybody goes home; AssertionError when somebody met an answer that they cannot work with."""
        self.process.terminate()
        code = self.process.wait(timeout=ENDS_WITHIN_S)
        broken = [row["why"] for row in self.answered("broken")]
        assert not broken, "\n".join(broken)
        assert code == 0, self.log

    @property
    def log(self) -> str:
        return (self.folder / "staff.log").read_text(errors="replace")


class Served(Protocol):
    """A node whose pages a laboratory's desk can reach."""

    @property
    def url(self) -> str: ...
    @property
    def authority(self) -> Path: ...
    @property
    def passwords(self) -> Mapping[str, str]: ...
    @property
    def lab(self) -> Laboratory: ...


@contextlib.contextmanager
def staff_at_work(node: Served, folder: Path, *, pairs: int = PAIRS, rate_per_s: float = RATE_PER_S) -> Iterator[Load]:
    """Staff at the desks, until the end or Load.stop; all of them have signed in on return."""
    folder.mkdir()
    accounts = folder / "accounts.json"
    accounts.touch(mode=0o600)
    accounts.write_text(json.dumps(dict(node.passwords)))
    with (folder / "staff.log").open("wb") as log:
        process = node.lab.desk.popen(
            *(sys.executable, "-m", "tests.lab.staff", "--url", node.url, "--ca", str(node.authority)),
            *("--accounts", str(accounts), "--out", str(folder), "--pairs", str(pairs)),
            *("--rate-per-s", str(rate_per_s)), stdout=log, stderr=log, cwd=ROOT,
        )  # fmt: skip
    load = Load(folder, pairs, process)
    try:
        until(lambda: len(load.answered("seated")) == pairs or _is_broken(load), within_s=SEATED_WITHIN_S, every_s=0.1)
        assert not _is_broken(load), f"{load.answered('broken')}\n{load.log}"
        yield load
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _is_broken(load: Load) -> bool:
    return load.process.poll() is not None or bool(load.answered("broken"))


def _rows(path: Path) -> list[dict[str, Any]]:
    """Whole lines of JSON; one that is being written is not there yet."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def quantile(requests: Sequence[Request], share: float) -> float:
    """How many seconds this share of the requests took at most."""
    seconds = sorted(request.seconds for request in requests)
    return seconds[min(len(seconds) - 1, math.ceil(len(seconds) * share) - 1)]
