"""SQL of staff, sessions and sign-in attempts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ulid import ULID

from edge_node.his.prescriptions.model import Right
from edge_node.his.staff.model import OpenSession, Role, SignedIn, Staff
from edge_node.his.staff.rules import ADDRESS_KNOWN_MS, LOCK_MS, SESSION_LONGEST_MS
from edge_node.store.connection import Connection, Row

_STAFF = """
SELECT staff.id, staff.code, staff.name, staff.title, staff.department_id, staff.must_change, staff.active,
       staff.totp_confirmed_at IS NOT NULL AS has_second_factor,
       (SELECT group_concat(role) FROM staff_role WHERE staff_id = staff.id) AS roles
FROM staff
"""


def _staff(row: Row) -> Staff:
    return Staff(
        id=row["id"],
        code=row["code"],
        name=row["name"],
        title=row["title"],
        department_id=row["department_id"],
        roles=frozenset(Role(role) for role in (row["roles"] or "").split(",") if role),
        must_change=bool(row["must_change"]),
        active=bool(row["active"]),
        has_second_factor=bool(row["has_second_factor"]),
    )


def get(conn: Connection, staff_id: str) -> Staff | None:
    """One member of staff by id."""
    row = conn.execute(f"{_STAFF} WHERE staff.id = :id", {"id": staff_id}).fetchone()
    return _staff(row) if row else None


def find_by_code(conn: Connection, code: str) -> Staff | None:
    """One member of staff by what they sign in with; capitals do not matter."""
    row = conn.execute(f"{_STAFF} WHERE staff.code = :code", {"code": code.strip().lower()}).fetchone()
    return _staff(row) if row else None


def everybody(conn: Connection) -> list[Staff]:
    """All staff, the inactive ones too, by code."""
    return [_staff(row) for row in conn.execute(f"{_STAFF} ORDER BY staff.code")]


def insert(
    conn: Connection,
    *,
    code: str,
    name: str,
    title: str,
    department_id: str | None,
    roles: Iterable[Role],
    password_hash: str,
    must_change: bool,
    at: int,
) -> str:
    """Add a member of staff and return the id. The code is kept in small letters; IntegrityError if it is taken."""
    staff_id = str(ULID())
    conn.execute(
        "INSERT INTO staff (id, code, name, title, department_id, password_hash, must_change, created_at) "
        "VALUES (:id, :code, :name, :title, :department_id, :password_hash, :must_change, :at)",
        {
            "id": staff_id,
            "code": code.strip().lower(),
            "name": name,
            "title": title,
            "department_id": department_id,
            "password_hash": password_hash,
            "must_change": must_change,
            "at": at,
        },
    )
    conn.executemany(
        "INSERT INTO staff_role (staff_id, role) VALUES (?, ?)", [(staff_id, role) for role in sorted(set(roles))]
    )
    return staff_id


def set_practice(conn: Connection, staff_id: str, *, licence_no: str, rights: Iterable[Right]) -> None:
    """What a person's licence says they may prescribe beside ordinary drugs."""
    conn.execute("UPDATE staff SET licence_no = :no WHERE id = :id", {"id": staff_id, "no": licence_no})
    conn.execute("DELETE FROM staff_right WHERE staff_id = :id", {"id": staff_id})
    conn.executemany(
        "INSERT INTO staff_right (staff_id, right) VALUES (?, ?)", [(staff_id, right) for right in sorted(set(rights))]
    )


def rights(conn: Connection, staff_id: str) -> frozenset[Right]:
    """What a person may prescribe beside ordinary drugs."""
    rows = conn.execute("SELECT right FROM staff_right WHERE staff_id = :id", {"id": staff_id})
    return frozenset(Right(row["right"]) for row in rows)


def password_hash(conn: Connection, staff_id: str) -> str:
    """The stored hash; for verifying, never for showing."""
    (stored,) = conn.execute("SELECT password_hash FROM staff WHERE id = :id", {"id": staff_id}).fetchone()
    return str(stored)


def set_password(conn: Connection, staff_id: str, stored: str, *, must_change: bool) -> None:
    """Replace the password's hash."""
    conn.execute(
        "UPDATE staff SET password_hash = :stored, must_change = :must_change WHERE id = :id",
        {"id": staff_id, "stored": stored, "must_change": must_change},
    )


# The second factor: its seed is sealed, and counts once its owner has shown a code.


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A person's seed, still sealed, and the last step whose code was used."""

    sealed: bytes
    last_step: int


def factor(conn: Connection, staff_id: str) -> Factor | None:
    """The second factor of a person, confirmed or not."""
    row = conn.execute("SELECT totp_sealed, totp_step FROM staff WHERE id = :id", {"id": staff_id}).fetchone()
    if row is None or row["totp_sealed"] is None:
        return None
    return Factor(sealed=bytes(row["totp_sealed"]), last_step=row["totp_step"])


def begin_factor(conn: Connection, staff_id: str, sealed: bytes) -> bool:
    """Keep a new seed that is not yet confirmed; False when there is a confirmed one."""
    done = conn.execute(
        "UPDATE staff SET totp_sealed = :sealed, totp_step = 0 WHERE id = :id AND totp_confirmed_at IS NULL",
        {"id": staff_id, "sealed": sealed},
    )
    return bool(done.rowcount)


def use_step(conn: Connection, staff_id: str, used: Factor, step: int, *, at: int) -> bool:
    """Take a step for this person; False when another use was quicker, or the seed is another by now.

    The first use confirms the seed.
    """
    done = conn.execute(
        "UPDATE staff SET totp_step = :step, totp_confirmed_at = coalesce(totp_confirmed_at, :at) "
        "WHERE id = :id AND totp_sealed = :sealed AND totp_step = :last",
        {"id": staff_id, "step": step, "at": at, "sealed": used.sealed, "last": used.last_step},
    )
    return bool(done.rowcount)


def remove_factor(conn: Connection, staff_id: str) -> None:
    """The person signs in with the password alone from now on."""
    conn.execute(
        "UPDATE staff SET totp_sealed = NULL, totp_confirmed_at = NULL, totp_step = 0 WHERE id = :id", {"id": staff_id}
    )


def set_active(conn: Connection, staff_id: str, active: bool) -> bool:
    """Lock an account, or open it again; false when it was so already. Sessions of a locked one hold no longer."""
    done = conn.execute(
        "UPDATE staff SET active = :active WHERE id = :id AND active <> :active", {"id": staff_id, "active": active}
    )
    return bool(done.rowcount)


# Sessions: the cookie carries a random id, the table only its digest.


def session_digest(session_id: str) -> bytes:
    """What the table knows of a session's id."""
    return hashlib.sha256(session_id.encode()).digest()


def open_session(conn: Connection, session_id: str, *, staff_id: str, station: str, address: str, at: int) -> None:
    """Begin a session; from now on its computer is one that the person is known at."""
    conn.execute(
        "INSERT INTO session (id_hash, staff_id, station, address, created_at, last_seen_at, confirmed_at) "
        "VALUES (:id, :staff_id, :station, :address, :at, :at, :at)",
        {"id": session_digest(session_id), "staff_id": staff_id, "station": station, "address": address, "at": at},
    )
    conn.execute(
        "INSERT INTO staff_address (staff_id, address, at) VALUES (:staff_id, :address, :at) "
        "ON CONFLICT (staff_id, address) DO UPDATE SET at = excluded.at",
        {"staff_id": staff_id, "address": address, "at": at},
    )


def session(conn: Connection, session_id: str) -> SignedIn | None:
    """The session of an active member of staff that nobody has ended; its age is the caller's to judge."""
    row = conn.execute(
        "SELECT staff_id, station, created_at, last_seen_at, coalesce(confirmed_at, created_at) AS confirmed_at "
        "FROM session WHERE id_hash = :id AND revoked_at IS NULL",
        {"id": session_digest(session_id)},
    ).fetchone()
    staff = get(conn, row["staff_id"]) if row else None
    if staff is None or not staff.active:
        return None
    return SignedIn(
        staff=staff,
        station=row["station"],
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        confirmed_at=row["confirmed_at"],
    )


def renew_session(conn: Connection, session_id: str, new_id: str, *, at: int) -> bool:
    """The person of a session has proved who it is: a new id from now on. False when the session has ended."""
    done = conn.execute(
        "UPDATE session SET id_hash = :new, confirmed_at = :at WHERE id_hash = :old AND revoked_at IS NULL",
        {"new": session_digest(new_id), "old": session_digest(session_id), "at": at},
    )
    return bool(done.rowcount)


def open_sessions(conn: Connection, *, staff_id: str | None = None) -> list[OpenSession]:
    """Sessions that nobody has ended, of one person or of all, the newest first; whether they hold is the caller's to
    judge."""
    rows = conn.execute(
        "SELECT hex(id_hash) AS digest, staff_id, station, address, created_at, last_seen_at FROM session "
        "WHERE revoked_at IS NULL AND (:staff_id IS NULL OR staff_id = :staff_id) ORDER BY last_seen_at DESC",
        {"staff_id": staff_id},
    )
    return [
        OpenSession(
            digest=row["digest"].lower(), staff_id=row["staff_id"], station=row["station"], address=row["address"],
            created_at=row["created_at"], last_seen_at=row["last_seen_at"],
        )
        for row in rows
    ]  # fmt: skip


def session_seen(conn: Connection, session_id: str, *, at: int) -> None:
    """Keep when a session was last used."""
    conn.execute(
        "UPDATE session SET last_seen_at = :at WHERE id_hash = :id AND last_seen_at < :at",
        {"id": session_digest(session_id), "at": at},
    )


def end_session(conn: Connection, session_id: str, *, at: int) -> None:
    """End one session for good."""
    conn.execute(
        "UPDATE session SET revoked_at = :at WHERE id_hash = :id AND revoked_at IS NULL",
        {"id": session_digest(session_id), "at": at},
    )


def end_session_of(conn: Connection, staff_id: str, digest: str, *, at: int) -> bool:
    """End the session that a list names, if it is this person's and nobody has ended it."""
    done = conn.execute(
        "UPDATE session SET revoked_at = :at WHERE id_hash = :digest AND staff_id = :staff_id AND revoked_at IS NULL",
        {"at": at, "digest": bytes.fromhex(digest), "staff_id": staff_id},
    )
    return bool(done.rowcount)


def end_sessions_of(conn: Connection, staff_id: str, *, at: int, but: str | None = None) -> int:
    """End all sessions of a person, except that of the id `but`; returns how many."""
    return int(
        conn.execute(
            "UPDATE session SET revoked_at = :at WHERE staff_id = :staff_id AND revoked_at IS NULL "
            "AND id_hash IS NOT :but",
            {"staff_id": staff_id, "at": at, "but": session_digest(but) if but else None},
        ).rowcount
    )


def stations(conn: Connection, *, limit: int = 20) -> list[str]:
    """Desks that were named lately, to choose from."""
    rows = conn.execute(
        "SELECT station FROM session WHERE station <> '' GROUP BY station ORDER BY max(last_seen_at) DESC LIMIT :limit",
        {"limit": limit},
    )
    return sorted(row["station"] for row in rows)


# Attempts: written before the password is looked at, so that sixteen tries at once count as sixteen.


def begin_attempt(conn: Connection, *, code: str, address: str, at: int) -> int:
    """Note an attempt as failed until it succeeds; returns its id."""
    cursor = conn.execute(
        "INSERT INTO login_attempt (at, code, address, ok) VALUES (:at, :code, :address, 0)",
        {"at": at, "code": code, "address": address},
    )
    return int(cursor.lastrowid or 0)


def is_failure(conn: Connection, attempt_id: int, code: str) -> bool:
    """Does this attempt with this code still count as failed?"""
    row = conn.execute(
        "SELECT 1 FROM login_attempt WHERE id = :id AND code = :code AND ok = 0", {"id": attempt_id, "code": code}
    ).fetchone()
    return row is not None


def attempt_succeeded(conn: Connection, attempt_id: int) -> None:
    """Everything that was asked for was right."""
    conn.execute("UPDATE login_attempt SET ok = 1 WHERE id = :id", {"id": attempt_id})


def failures_of_code(conn: Connection, code: str, *, now: int, address: str | None = None) -> Sequence[int]:
    """Times of the failures with this code since its last success, newest first, as far back as a lock reaches.

    With an `address` only those from there.
    """
    rows = conn.execute(
        "SELECT at, ok FROM login_attempt WHERE code = :code AND at > :since "
        "AND (:address IS NULL OR address = :address) ORDER BY id DESC",
        {"code": code, "since": now - LOCK_MS, "address": address},
    )
    failures = []
    for row in rows:
        if row["ok"]:
            break
        failures.append(row["at"])
    return failures


def failures_of_address(conn: Connection, address: str, *, now: int) -> Sequence[int]:
    """Times of all failures from this address, newest first, as far back as a lock reaches."""
    rows = conn.execute(
        "SELECT at FROM login_attempt WHERE address = :address AND ok = 0 AND at > :since ORDER BY id DESC",
        {"address": address, "since": now - LOCK_MS},
    )
    return [row["at"] for row in rows]


def is_known_at(conn: Connection, code: str, address: str, *, now: int) -> bool:
    """Has the person with this code signed in from there lately?"""
    row = conn.execute(
        "SELECT 1 FROM staff_address JOIN staff ON staff.id = staff_address.staff_id "
        "WHERE staff.code = :code AND staff_address.address = :address AND staff_address.at > :since",
        {"code": code, "address": address, "since": now - ADDRESS_KNOWN_MS},
    ).fetchone()
    return row is not None


def forget_attempts_of(conn: Connection, code: str) -> None:
    """Lift the lock of a code; what happened stays in the audit log."""
    conn.execute("DELETE FROM login_attempt WHERE code = :code", {"code": code})


def forget_old(conn: Connection, *, now: int) -> None:
    """Clear sessions and attempts that no rule asks about any more; the audit log keeps who signed in and when."""
    conn.execute("DELETE FROM session WHERE created_at < :before", {"before": now - 2 * SESSION_LONGEST_MS})
    conn.execute("DELETE FROM staff_address WHERE at < :before", {"before": now - ADDRESS_KNOWN_MS})
    conn.execute("DELETE FROM login_attempt WHERE at < :before", {"before": now - 2 * LOCK_MS})
