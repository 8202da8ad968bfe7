"""`edge-node init`: the one place where databases and keys are made out of nothing.

Everything that can fail is tried before anything that cannot be repeated; the databases appear last, each whole by a
rename, so that an interrupted init can simply be run again.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import pyrage

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError, StoreError, UsageError
from edge_node.base.files import atomic_write
from edge_node.cli.main import DEFAULT_CONFIG, Where, where_options
from edge_node.cli.output import answer, table, talk
from edge_node.cli.ownership import hand_over
from edge_node.config.load import load, parse
from edge_node.config.render import DEFAULT_LISTEN, first_config
from edge_node.config.schema import STATE_DIR, Config
from edge_node.config.values import Endpoint, parse_endpoint
from edge_node.his import seed
from edge_node.his.cipher import KEY_BYTES
from edge_node.his.staff import queries as staff_queries
from edge_node.his.staff.model import Role
from edge_node.his.staff.passwords import first_password, hash_password
from edge_node.services.certificates import clinic_names
from edge_node.store.connection import Connection, connect, transaction
from edge_node.store.databases import DATABASES, db_path
from edge_node.store.migrate import create_database
from edge_node.tls import kept

TRAINING_ID, TRAINING_NAME = "training-0001", "西城门诊部（训练）"
ASKED_BACK = 8
STATE_FOLDERS = ("data", "credentials", "shipping", "orders", "reports", "copies")


@click.command()
@click.option("--training", is_flag=True, help="A training clinic: made-up staff, nothing asked back.")
@click.option(
    "--id", "node_id", help="Name of this node in every copy of its data, such as clinic-0042; never changed."
)
@click.option("--name", help="The clinic as its staff and patients read it.")
@click.option("--admin", default="admin", show_default=True, help="What the first administrator signs in with.")
@click.option("--listen", help="Address and port of the pages, such as 0.0.0.0:443; other computers get TLS.")
@click.option("--contact", help="Whom staff call when something is wrong, with the phone.")
@where_options
@click.pass_obj
def init(
    where: Where,
    training: bool,
    node_id: str | None,
    name: str | None,
    admin: str,
    listen: str | None,
    contact: str | None,
) -> None:
    """Make the first configuration, keys, databases and administrator of a node."""
    if where.home is None and where.config is None:
        raise UsageError(
            "usage",
            "init needs to know where the node's files go",
            context=None,
            hint="edge-node init --home DIR --id clinic-0042 --name 西城门诊部; "
            f"with --config {DEFAULT_CONFIG} instead of --home the data go to {STATE_DIR}",
        )
    if not training and not (node_id and name):
        raise UsageError(
            "usage",
            "a real clinic needs --id and --name",
            context="they stand in every copy of its data and on every page",
            hint="edge-node init --home DIR --id clinic-0042 --name 西城门诊部, or --training to try it",
        )
    home = where.home.resolve() if where.home and not where.config else None
    first_start(
        home or STATE_DIR,
        config_path=None if home else where.path().absolute(),
        node_id=node_id or TRAINING_ID,
        name=name or TRAINING_NAME,
        admin=admin,
        training=training,
        listen=_endpoint(listen) if listen else DEFAULT_LISTEN,
        contact=contact,
    )


def _endpoint(listen: str) -> Endpoint:
    try:
        return parse_endpoint(listen)
    except ValueError as error:
        raise UsageError("usage", f"--listen {error}", context=None, hint="--listen 0.0.0.0:443") from None


def first_start(
    home: Path,
    *,
    config_path: Path | None = None,
    node_id: str,
    name: str,
    admin: str,
    training: bool,
    listen: Endpoint = DEFAULT_LISTEN,
    contact: str | None = None,
) -> None:
    """Make what is missing under `home`, and print what is shown once: the recovery identity, the first passwords.

    The configuration lies there too, unless `config_path` says where; `home` then is the state folder. Each secret is
    printed before the step that an interruption could not repeat. Raises StoreError already-initialised where databases
    or copies exist.
    """
    at_home = config_path is None
    config_path = config_path or home / "edge-node.toml"
    _make_folders(home)
    _refuse_what_is_there(home, config_path, traces_of_work(config_path, home=home, at_home=at_home))
    if not config_path.exists():
        recovery, node = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
        answer("recovery identity (opens every copy; keep it in the safe, it is stored nowhere on this machine):")
        answer(f"  {recovery}\n")
        if not training:
            _ask_back(str(recovery))
        text = first_config(
            node_id=node_id,
            name=name,
            encrypt_to=(str(recovery.to_public()), str(node.to_public())),
            cloud_url=f"file://{home / 'cloud'}",
            listen=listen,
            contact=contact,
            line_interface=default_route_interface() if training else None,
        )
        for credential, content in _new_credentials(str(node)).items():
            path = home / "credentials" / credential
            if not path.exists() or credential == "node-identity":
                atomic_write(path, content.encode(), mode=0o600)
        if not training or not listen.is_loopback:
            _make_authority(parse(text, home=home if at_home else None))
        atomic_write(config_path, text.encode())
    config = load(config_path, home=home if at_home else None)
    _make_databases(config, admin=admin, training=training)
    hand_over(config.node.state_dir, config.replica.local, config_path)


def default_route_interface(table: Path = Path("/proc/net/route")) -> str | None:
    """The interface of this machine's default route (IPv4), the one of the lowest metric; None where there is none."""
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    except (OSError, UnicodeDecodeError):
        return None
    # Interface, destination, gateway, flags, …, metric, mask: proc(5).
    found = [(int(row[6]), row[0]) for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"]
    return min(found)[1] if found else None


def _make_authority(config: Config) -> None:
    """The clinic's own authority, once: every computer that is told to trust it would have to be told again."""
    place = kept.authority_place(config)
    if not (place.certificate.exists() and place.key.exists()):
        now = datetime.fromtimestamp(SystemClock().wall_ms() / 1000, UTC)
        names = clinic_names(config)
        kept.write_authority(
            kept.folder_of(config), node_id=config.node.id, clinic=config.node.name, names=names, now=now
        )


def _tell_passwords(accounts: Sequence[seed.Account]) -> None:
    answer("first passwords (shown once; `edge-node user reset CODE` makes a new one):")
    rows = [(account.code, account.password, account.name, ", ".join(account.roles)) for account in accounts]
    answer("\n".join(f"  {line}" for line in table(("CODE", "PASSWORD", "NAME", "ROLES"), rows).splitlines()) + "\n")


def _make_folders(home: Path) -> None:
    try:
        home.mkdir(mode=0o750, parents=True, exist_ok=True)
        for name in STATE_FOLDERS:
            (home / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            "config-missing",
            f"the folders of the node cannot be made under {home}",
            context=f"{error.strerror}: {error.filename}",
            hint=f"check that {home} is a folder that user {os.geteuid()} may write to",
        ) from error


def traces_of_work(config_path: Path, *, home: Path, at_home: bool = True) -> list[Path]:
    """What a node leaves that has worked: copies on site, what was captured, what a destination has confirmed.

    An interrupted init leaves none of it. `home` is the state folder. Raises ConfigError.
    """
    local = (
        load(config_path, home=home if at_home else None).replica.local if config_path.exists() else home / "replica"
    )
    seen = (local.glob("e*/*/ltx/*/*.ltx"), (home / "litestream").glob("e*"), (home / "shipping").glob("*.json"))
    return [found for places in seen for found in itertools.islice(places, 1)]


def _refuse_what_is_there(home: Path, config_path: Path, traces: Sequence[Path]) -> None:
    found = [path for name in DATABASES if (path := db_path(home, name)).exists()]
    if (found or traces) and not config_path.exists():
        raise StoreError(
            "already-initialised",
            f"a node has worked here, and its configuration is gone: {config_path}",
            context=f"{(*found, *traces)[0]} is there",
            hint="put the file back. The recovery kit at a destination holds it: age -d -i IDENTITY kit/<n>.age, "
            "the key `configuration`",
        )
    if len(found) == len(DATABASES):
        raise StoreError(
            "already-initialised",
            f"this node has been initialised: {found[0]} exists",
            context=None,
            hint=f"edge-node up --home {home} starts it; edge-node user reset CODE makes a new password",
        )
    if traces and not db_path(home, "his").exists():
        raise StoreError(
            "already-initialised",
            "the databases are gone, but this node has worked: an empty clinic must not take their place",
            context=f"{traces[0]} is there",
            hint=f"edge-node db ensure --home {home} brings them back, from here or from a destination",
        )


def _ask_back(identity: str) -> None:
    for _ in range(3):
        given = click.prompt(f"its last {ASKED_BACK} characters, read from your paper", err=True)
        if given.strip().upper() == identity[-ASKED_BACK:]:
            return
        talk("these are not its last characters")
    raise UsageError(
        "recovery-identity-not-kept",
        "nothing was made: the recovery identity was not read back",
        context="whoever loses it cannot open any copy of this clinic's data",
        hint="run init again and write the new identity down",
    )


def _new_credentials(node_identity: str) -> Mapping[str, str]:
    return {
        "data-key": secrets.token_hex(KEY_BYTES),
        "his-secret": secrets.token_hex(32),
        "node-identity": node_identity + "\n",
    }


def _make_databases(config: Config, *, admin: str, training: bool) -> None:
    state_dir = config.node.state_dir
    # The clinical one last: its presence says that init is through.
    for name in sorted(DATABASES, key=lambda name: name == "his"):
        path = db_path(state_dir, name)
        if path.exists():
            continue
        beside = path.with_name(f"{name}.new.db")
        for leftover in path.parent.glob(f"{beside.name}*"):
            leftover.unlink()
        create_database(beside, DATABASES[name])
        if name == "his":
            conn = connect(beside)
            try:
                with transaction(conn):
                    accounts = _plant(conn, admin=admin, training=training)
                _tell_passwords(accounts)
            finally:
                # The last close checkpoints and removes the WAL: what is renamed is one whole file.
                conn.close()
        beside.rename(path)


def _plant(conn: Connection, *, admin: str, training: bool) -> list[seed.Account]:
    at = SystemClock().wall_ms()
    accounts = seed.plant(
        conn,
        at=at,
        training=training,
        hash_password=hash_password,
        make_password=first_password,
        must_change=not training,
    )
    if not training:
        password, roles = first_password(), (Role.ADMIN,)
        staff_queries.insert(
            conn,
            code=admin,
            name=admin,
            title="",
            department_id=None,
            roles=roles,
            password_hash=hash_password(password),
            must_change=True,
            at=at,
        )
        accounts.append(seed.Account(code=admin, name=admin, roles=roles, password=password))
    return accounts
