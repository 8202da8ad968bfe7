"""The certificate of the pages while they are served: issued or renewed, watched, and exchanged without a pause.

The node's own is renewed here, in the service that shows it. The clinic's own is read again when its file changes, so
that a bought one is renewed by copying it. A new one is shown to new connections; those that are open stay.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from edge_node.base.clock import Clock
from edge_node.base.errors import ConfigError
from edge_node.base.logs import Repeated, event
from edge_node.config.schema import Config, Tls
from edge_node.services.certificates import Certificates, look
from edge_node.services.web_server import ShownCertificate
from edge_node.status import Reason
from edge_node.tls import kept
from edge_node.tls.judged import problems
from edge_node.tls.trusted import ClinicAuthority, as_shown

# A new address of the machine is in the certificate within this time; a look costs a millisecond.
EVERY_S = 10.0


class PageCertificate:
    """What the pages show: ready after the construction, looked at again in each turn."""

    def __init__(self, config: Config, tls: Tls, clock: Clock) -> None:
        """Issues what is missing. Raises as `look`."""
        self._config, self._tls, self._clock = config, tls, clock
        self._failing = Repeated()
        self._looked_at = clock.boottime()
        self._now = self._settled()
        self._error: ConfigError | None = None
        self._authority = _authority(self._now)
        self.shown = ShownCertificate(self._now.place)

    def clinic_authority(self) -> ClinicAuthority | None:
        """The clinic's authority for the page that explains it, where the node issues by one."""
        return self._authority

    def turn(self) -> None:
        """Look again when it is time; whatever is wrong then is told, and what was shown stays."""
        if self._clock.boottime() - self._looked_at < EVERY_S:
            return
        self._looked_at = self._clock.boottime()
        before = self._now.shown[0].found.fingerprint
        try:
            found = self._settled()
            if found.shown[0].found.fingerprint != before:
                self.shown.exchange(found.place)
                event(
                    "certificate_exchanged", certificate=found.place.name, ends=f"{found.shown[0].found.ends:%Y-%m-%d}"
                )
        except ConfigError as error:
            self._error = error
            if self._failing.failed():
                event(
                    "certificate_failed", level="error", code=error.code, why=error.message, times=self._failing.count
                )
            return
        self._now, self._authority, self._error = found, _authority(found), None
        self._failing.recovered()

    def state(self) -> dict[str, Any]:
        """For the status file: every certificate with its end in milliseconds since 1970, and what is wrong."""
        now = self._wall()
        found = [reason for shown in self._now.shown for reason in problems(shown, now=now)]
        if self._error is not None:
            args = {"certificate": self._now.place.name, "why": self._error.message}
            found.append(Reason(code="certificate-unusable", args=args))
        return {
            "certificates": [
                {"name": shown.name, "not_after": round(shown.found.ends.timestamp() * 1000)}
                for shown in self._now.shown
            ],
            "problems": [reason.as_json() for reason in found],
        }

    def _wall(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.wall_ms() / 1000, dt.UTC)

    def _settled(self) -> Certificates:
        """What lies there, after the node has issued what it is to issue."""
        now = self._wall()
        found = look(self._config, self._tls, now=now)
        if found.issue is None or found.authority is None:
            return found
        node_id, wanted = self._config.node.id, found.issue
        kept.write_own(found.place, found.authority, node_id=node_id, names=wanted.names, now=now)
        event("certificate_issued", certificate=found.place.name, cause=wanted.cause, names=wanted.names)
        return look(self._config, self._tls, now=now)


def _authority(found: Certificates) -> ClinicAuthority | None:
    return None if found.authority is None else as_shown(found.authority.found)
