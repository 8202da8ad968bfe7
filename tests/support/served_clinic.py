"""A training clinic behind the real server, with one person of each role: what a browser's connection may do to a post,
and what the service says of it, shows here and not with a test client."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from edge_node.base.clock import SystemClock
from edge_node.his import seed
from edge_node.his.reception import queries as reception
from edge_node.his.staff import passwords, queries
from edge_node.his.staff.model import Role
from edge_node.store.connection import Connection, connect, transaction
from edge_node.store.databases import db_path
from tests.support.desk import Answer, Desk
from tests.support.his import PASSWORD
from tests.support.his_service import Running, a_home, running
from tests.support.walking import code_of


@dataclass
class Served:
    """The service, its database, and a desk of each role."""

    service: Running
    home: Path
    conn: Connection
    desks: dict[Role, Desk] = field(default_factory=dict)

    def desk(self, role: Role) -> Desk:
        """Somebody of a role who has signed in."""
        if role not in self.desks:
            self.desks[role] = desk = Desk(f"http://127.0.0.1:{self.service.port}")
            desk.enter(code_of(role), PASSWORD, first="/password")
        return self.desks[role]

    def post_and_die(self, role: Role, path: str, fields: Mapping[str, str]) -> None:
        """Send a whole form on a connection of its own, and be gone before the answer."""
        desk = self.desk(role)
        body = urlencode({"csrf_token": desk._csrf, **fields}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.service.port}\r\nCookie: {desk.cookie()}\r\n"
            f"Origin: {desk.url}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=5) as connection:
            connection.sendall(head.encode() + body)
            connection.shutdown(socket.SHUT_RDWR)

    def post_apart(self, role: Role, path: str, fields: Mapping[str, str]) -> Answer:
        """As `post`, on a connection of its own: several at once."""
        desk = self.desk(role)
        with Desk(desk.url, _cookies=dict(desk._cookies), _csrf=desk._csrf) as apart:
            return apart.post(path, dict(fields))

    def post(self, role: Role, path: str, fields: Mapping[str, str]) -> Answer:
        return self.desk(role).post(path, dict(fields))

    def department(self, code: str = "internal") -> str:
        return next(one.id for one in reception.departments(self.conn) if one.code == code)


@contextlib.contextmanager
def a_served_clinic(folder: Path) -> Iterator[Served]:
    home = a_home(folder / "node")
    with contextlib.closing(connect(db_path(home, "his"))) as conn:
        at, stored = SystemClock().wall_ms(), passwords.hash_password(PASSWORD)
        with transaction(conn):
            seed.plant(conn, at=at, training=True, hash_password=str, make_password=str)
            internal = next(one.id for one in reception.departments(conn) if one.code == "internal")
            for role in Role:
                queries.insert(
                    conn, code=code_of(role), name=f"某{role}", title="", roles=[role], password_hash=stored,
                    department_id=internal if role is Role.DOCTOR else None, must_change=False, at=at,
                )  # fmt: skip
        with running(home) as service:
            served = Served(service=service, home=home, conn=conn)
            try:
                yield served
            finally:
                for desk in served.desks.values():
                    desk.hang_up()
