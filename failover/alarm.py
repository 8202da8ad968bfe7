"""Waiting until a time or until something happens, whichever comes first."""

from __future__ import annotations

import asyncio


class Alarm:
    """One task waits, anybody wakes it. A wake while nobody waits is kept for the next wait."""

    def __init__(self) -> None:
        self._rung = False
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        self._rung = True
        self._end()

    async def wait(self, seconds: float) -> bool:
        """Wait; true if it was rung."""
        if not self._rung and seconds > 0:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(seconds, self._end)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        else:
            await asyncio.sleep(0)
        rung, self._rung = self._rung, False
        return rung

    def _end(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
