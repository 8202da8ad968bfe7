"""The whole HIS in a test: a real database, the real writing thread, a clock that the test moves, a browser's client.

with a_his(tmp_path) as his:
    his.add_staff("li", Role.DOCTOR)
    page = his.sign_in("li").get("/encounters")
    his.post(his.client, "/reception", name="…")        # fills in the CSRF token and a request key
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any, TypeVar, cast

from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from edge_node.base.clock import ClockState
from edge_node.base.instruments import Histogram
from edge_node.his import request_key
from edge_node.his.app import create_app
from edge_node.his.cipher import Cipher
from edge_node.his.context import HisContext
from edge_node.his.copies import Copies, NoCopies
from edge_node.his.line_history import LineHistory, NoHistory
from edge_node.his.staff import passwords, queries
from edge_node.his.staff.model import Role
from edge_node.i18n import ENGLISH
from edge_node.status import NO_OUTBOX, NO_REPLICA, Mode, NodeStatus, Posture, Reason, ServiceState
from edge_node.store.connection import Connection
from edge_node.store.writer import Writer
from tests.support.clock import FakeClock
from tests.support.databases import make_his_database

T = TypeVar("T")
PASSWORD = "three words apart"
DATA_KEY = bytes(range(32))
# Made once: a hash costs 50 ms.
_PASSWORD_HASH = passwords.hash_password(PASSWORD)


class _Compiled(BytecodeCache):
    """Templates compiled once for all applications of a run; each one costs 40 ms."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if kept := self._kept.get(bucket.key):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


def a_node_status(**changes: Any) -> NodeStatus:
    """A healthy node without lines."""
    healthy = NodeStatus(
        node_id="clinic-0042", epoch=1, superseded_by=None, mode=Mode.ONLINE, mode_since=None,
        mode_reason=Reason(code="no-lines"), posture=Posture.ONLINE, exercise=False, lines=(),
        replica={**NO_REPLICA, "litestream": "running"}, outbox=NO_OUTBOX, files={"his": None, "replica": None},
        services={"his": ServiceState.OK, "replica": ServiceState.OK}, problems=(), clock=ClockState.SYNCED,
        disk_free_bytes=10**10, rpo_limits_s={"cloud": 300.0},
    )  # fmt: skip
    return replace(healthy, **changes)


@dataclass
class His:
    """The application under test, and a client whose cookies are one browser's."""

    app: Flask
    context: HisContext
    clock: FakeClock
    status: NodeStatus = field(default_factory=a_node_status)

    def __post_init__(self) -> None:
        self.client = self.browser()

    def browser(self) -> FlaskClient:
        """Another computer: a client of its own, in English."""
        client = self.app.test_client()
        client.set_cookie("lang", ENGLISH)
        return client

    @property
    def conn(self) -> Connection:
        """A reading connection."""
        return self.context.reader()

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.context.writer.submit(work)

    def add_staff(
        self,
        code: str,
        *roles: Role,
        name: str = "",
        title: str = "",
        department_id: str | None = None,
        must_change: bool = False,
    ) -> str:
        """A member of staff whose password is PASSWORD; returns the id."""
        return self.write(
            lambda conn: queries.insert(
                conn,
                code=code,
                name=name or code.title(),
                title=title,
                department_id=department_id,
                roles=roles,
                password_hash=_PASSWORD_HASH,
                must_change=must_change,
                at=self.clock.wall_ms(),
            )
        )

    def sign_in(
        self,
        code: str,
        *,
        client: FlaskClient | None = None,
        password: str = PASSWORD,
        station: str = "Desk 1",
        **more: str,
    ) -> FlaskClient:
        """Sign in through the page; returns the client. What the page answered is `last`."""
        client = client or self.client
        self.last = self.post(client, "/login", code=code, password=password, station=station, **more)
        return client

    def csrf(self, client: FlaskClient, path: str = "/login") -> str:
        """A token of this client's session, as a form of the page carries it."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, follow_redirects=True).text)
        assert found, f"no form at {path}"
        return found[1]

    def post(self, client: FlaskClient, path: str, /, **fields: Any) -> TestResponse:
        """Post a form as the page would."""
        form = {"csrf_token": self.csrf(client), "request_key": request_key.new(), **fields}
        return client.post(path, data=form)


def look_for(his: His, client: FlaskClient, typed: str, *, at: str = "/patients") -> str:
    """Post a search as the page at `at` would; the address of what was found."""
    answer = his.post(client, f"{at}/find", q=typed)
    assert answer.status_code == 302, answer.text
    return answer.location


def hidden_fields(page: str) -> dict[str, str]:
    """Names and values of the hidden fields of a page."""
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)}


@contextlib.contextmanager
def a_his(
    folder: Path,
    *,
    language: str = "zh_Hans_CN",
    secure: bool = False,
    idle_lock_s: float = 900,
    line_history: Callable[[FakeClock], LineHistory] | None = None,
    copies: Callable[[FakeClock], Copies] | None = None,
) -> Iterator[His]:
    """The HIS on a new database in `folder`."""
    path, clock = folder / "his.db", FakeClock()
    make_his_database(path)
    writer = Writer(
        path,
        commit_seconds=Histogram((0.01,)),
        batch_size=Histogram((1,)),
        wal_limit_bytes=64 * 1024 * 1024,
        litestream_alive=lambda: True,
    )
    writer.start()
    his: list[His] = []
    context = HisContext(
        db_path=path, writer=writer, clock=clock, node_status=lambda: his[0].status, cipher=Cipher(DATA_KEY),
        clinic_name="西城门诊部", node_code="0042", epoch=lambda: 1, language=language, idle_lock_s=idle_lock_s,
        line_history=NoHistory() if line_history is None else line_history(clock),
        copies=NoCopies() if copies is None else copies(clock),
    )  # fmt: skip
    try:
        app = create_app(context, secret_key="only for tests", secure=secure)
        app.testing = True
        app.jinja_env.bytecode_cache = _COMPILED
        his.append(His(app=app, context=context, clock=clock))
        yield his[0]
    finally:
        reader = cast(Connection | None, getattr(context._readers, "conn", None))
        if reader is not None:
            reader.close()
        writer.close()


@contextlib.contextmanager
def a_his_at_home(folder: Path) -> Iterator[His]:
    """The same below a home with a configuration, for commands beside it; with an administrator, gu, and zhou."""
    data = folder / "node/data"
    data.mkdir(parents=True)
    (folder / "node/edge-node.toml").write_text('[node]\nid = "clinic-0042"\n[replica]\nplain = true\n')
    with a_his(data) as his:
        his.add_staff("gu", Role.ADMIN, name="顾工")
        his.add_staff("zhou", Role.REGISTRAR, name="周敏")
        yield his
