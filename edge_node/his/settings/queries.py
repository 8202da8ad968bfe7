"""SQL of what the clinic decides."""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.his.settings.model import (
    IDLE_LOCK_MIN,
    PROOF_MIN,
    SESSION_HOURS,
    TOTP_ROLES,
    Settings,
    of_rows,
    to_rows,
)
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection


def get(conn: Connection) -> Settings:
    """All settings as they hold now."""
    return of_rows(dict(conn.execute("SELECT key, value FROM setting").fetchall()))


def version(conn: Connection) -> int:
    """Changes with every change; 0 as delivered."""
    (at,) = conn.execute("SELECT coalesce(max(updated_at), 0) FROM setting").fetchone()
    return int(at)


def change(conn: Connection, new: Settings, *, at: int, by: str) -> Mapping[str, tuple[str, str]]:
    """Keep the settings; returns those that changed, each as it was and as it is."""
    before, after = to_rows(get(conn)), to_rows(new)
    changed = {key: (before[key], value) for key, value in after.items() if before[key] != value}
    # Two changes within a millisecond, or after the clock was set back, still are two versions.
    at = max(at, version(conn) + 1)
    conn.executemany(
        "INSERT INTO setting (key, value, updated_at, updated_by) VALUES (:key, :value, :at, :by) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, "
        "updated_by = excluded.updated_by",
        [{"key": key, "value": value, "at": at, "by": by} for key, (_, value) in changed.items()],
    )
    return changed


def totp_roles(conn: Connection) -> frozenset[Role]:
    """The roles that need a second factor; asked at every page, so it reads one row."""
    row = conn.execute("SELECT value FROM setting WHERE key = :key", {"key": TOTP_ROLES}).fetchone()
    return of_rows({TOTP_ROLES: row["value"]}).totp_roles if row else frozenset()


def of_sessions(conn: Connection) -> Settings:
    """What is set about sessions and proofs, all else as delivered; asked at every page, so it reads three rows."""
    rows = conn.execute(
        "SELECT key, value FROM setting WHERE key IN (:idle, :hours, :proof)",
        {"idle": IDLE_LOCK_MIN, "hours": SESSION_HOURS, "proof": PROOF_MIN},
    )
    return of_rows(dict(rows.fetchall()))
