"""Where patients are between the desks, so that nobody at a desk asks the node in vain whether somebody waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from edge_node.simulation.desks import Arrived

# Between a registration and the moment that its number is known here lies one page.
KNOWN_WITHIN_S = 20.0


class Hall:
    """Of so many visits, who waits for the nurse, how many wait for a doctor, and how many are still to be over."""

    def __init__(self, expected: int) -> None:
        self._changed = threading.Condition()
        self._expected = expected
        self._for_nurse: deque[Arrived] = deque()
        self._for_doctor = 0
        self._known: dict[str, Arrived] = {}
        self._late: set[str] = set()
        self._registering = 0
        self._arriving = expected

    @contextmanager
    def registering(self) -> Iterator[None]:
        """Somebody stands at the reception: perhaps they have a number that nobody here knows yet."""
        with self._changed:
            self._registering += 1
        try:
            yield
        finally:
            with self._changed:
                self._registering -= 1
                self._arriving -= 1
                self._changed.notify_all()

    def arrived(self, arrived: Arrived) -> None:
        """Somebody has a number."""
        with self._changed:
            self._known[arrived.visit_no] = arrived
            self._changed.notify_all()

    def to_nurse(self, arrived: Arrived) -> None:
        with self._changed:
            self._for_nurse.append(arrived)
            self._changed.notify_all()

    def to_doctor(self) -> None:
        """One more can be called."""
        with self._changed:
            self._for_doctor += 1
            self._changed.notify_all()

    def over(self) -> None:
        """A visit has come to its end, whichever."""
        with self._changed:
            self._expected -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Everybody goes home."""
        with self._changed:
            self._expected = self._arriving = 0
            self._for_nurse.clear()
            self._for_doctor = 0
            self._changed.notify_all()

    def next_for_nurse(self) -> Arrived | None:
        """Who is to be measured next; waits until there is somebody, None when nobody comes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._for_nurse or self._arriving <= 0)
            return self._for_nurse.popleft() if self._for_nurse else None

    def next_for_doctor(self) -> bool:
        """Can somebody be called? Waits until it is known; False when every visit is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._for_doctor or self._expected <= 0)
            if self._for_doctor:
                self._for_doctor -= 1
                return True
            return False

    def who(self, visit_no: str) -> Arrived | None:
        """Whose visit it is; None for somebody who did not come through this hall."""
        with self._changed:
            self._changed.wait_for(lambda: visit_no in self._known or not self._registering, timeout=KNOWN_WITHIN_S)
            return self._known.get(visit_no)

    def is_late(self, visit_no: str) -> bool:
        """Did they miss a call before? From now on they did."""
        with self._changed:
            missed = visit_no in self._late
            self._late.add(visit_no)
            return missed
