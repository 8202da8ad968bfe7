"""What goes wrong at install time: each service stops, or goes on, with the sentence that mends it, and `doctor` says
the same one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_node.base.errors import ServiceError
from edge_node.base.files import read_status
from edge_node.cli.main import Where, cli
from edge_node.config.load import parse
from edge_node.services.folders import need_folders
from tests.support.his_service import a_certificate, write_secret
from tests.support.node import edge_node, free_port
from tests.support.waiting import until

# A loaded machine takes its time to start Python.
WITHIN_S = 60.0
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An error as a service ends with it."""

    code: str
    message: str
    hint: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training clinic that nobody has started; each test works on a copy of its own."""
    home = Path(tmp_path_factory.mktemp("made")) / "node"
    done = edge_node("init", "--training", home=home)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    home = tmp_path / "node"
    shutil.copytree(made, home)
    config, port = home / "edge-node.toml", free_port()
    text = config.read_text().replace(str(made), str(home))
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("127.0.0.1:9108", f"127.0.0.1:{port + 1}")
    config.write_text(text)
    return home


def configure(home: Path, *changes: tuple[str, str]) -> None:
    config = home / "edge-node.toml"
    text = config.read_text()
    for old, new in changes:
        assert re.search(old, text, flags=re.MULTILINE), old
        text = re.sub(old, lambda _, new=new: new, text, count=1, flags=re.MULTILINE)  # type: ignore[misc]
    config.write_text(text)


def ended(home: Path, service: str) -> tuple[int, Said]:
    """A service that must end by itself: its exit code and what it said."""
    done = edge_node("run", service, home=home, timeout_s=WITHIN_S)
    found = re.search(r"^error: ([a-z-]+): (.*)$", done.stderr, flags=re.MULTILINE)
    hint = re.search(r"^hint: (.*)$", done.stderr, flags=re.MULTILINE)
    assert found and hint, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, Said(code=found[1], message=found[2], hint=hint[1])


@contextlib.contextmanager
def goes_on(home: Path, service: str) -> Iterator[Path]:
    """A service that must not end; yields the file of what it says."""
    log = home.parent / f"{service}.log"
    argv = [sys.executable, "-m", "edge_node", "run", service, "--home", str(home)]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        yield log
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 0, log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def doctor(home: Path) -> list[dict[str, Any]]:
    done = CliRunner().invoke(cli, ["doctor", "--json", "--home", str(home)], obj=Where())
    return [finding for finding in json.loads(done.stdout) if finding["level"] != "ok"]


def own(home: Path, name: str) -> Path:
    return home / "credentials" / name


def lose(name: str) -> Callable[[Path], object]:
    return lambda home: own(home, name).unlink()


def spoil(name: str, content: bytes = b"\xff\x00 no secret") -> Callable[[Path], object]:
    return lambda home: write_secret(own(home, name), content)


def expose(name: str) -> Callable[[Path], object]:
    return lambda home: own(home, name).chmod(0o644)


def with_tls(home: Path, *, issue: bool = False) -> None:
    tls = "{ issue = true }" if issue else '{ certificate = "his-cert", key = "his-key" }'
    configure(home, (r"^language", f"tls = {tls}\nlanguage"))


def with_certificate(then: Callable[[Path], object]) -> Callable[[Path], object]:
    def do(home: Path) -> None:
        with_tls(home)
        a_certificate(home)
        then(home)

    return do


def another_key(home: Path) -> None:
    first = own(home, "his-key").read_bytes()
    a_certificate(home)
    write_secret(own(home, "his-key"), first)


def foreign_address(home: Path) -> None:
    # TEST-NET-3: nobody's address, so not this machine's either.
    configure(home, (r'^listen = "127.0.0.1', 'listen = "203.0.113.9'))
    with_certificate(lambda _: None)(home)


def signed_target(home: Path) -> None:
    more = '\n[[line]]\nname = "signed"\npreferred = 7\ninterface = "lo"\n'
    more += 'target = [{ address = "127.0.0.2", kind = "stamp", credential = "stamp-key" }]\n'
    config = home / "edge-node.toml"
    config.write_text(config.read_text() + more)
    own(home, "stamp-key").write_text("ab" * 32)


STOPS = [  # what is wrong, the service, its exit code, the code of its error
    pytest.param(lose("data-key"), "his", 3, "credential-missing", id="data-key-lost"),
    pytest.param(expose("data-key"), "his", 3, "credential-exposed", id="data-key-0644"),
    pytest.param(spoil("data-key"), "his", 3, "credential-unusable", id="data-key-garbage"),
    pytest.param(spoil("data-key", b"abcd"), "his", 3, "credential-unusable", id="data-key-short"),
    pytest.param(lose("his-secret"), "his", 3, "credential-missing", id="secret-lost"),
    pytest.param(expose("his-secret"), "his", 3, "credential-exposed", id="secret-0644"),
    pytest.param(spoil("his-secret", b""), "his", 3, "credential-unusable", id="secret-empty"),
    pytest.param(with_tls, "his", 3, "certificate-unusable", id="certificate-lost"),
    pytest.param(with_certificate(lose("his-key")), "his", 3, "credential-missing", id="certificates-key-lost"),
    pytest.param(with_certificate(expose("his-key")), "his", 3, "credential-exposed", id="certificates-key-0644"),
    pytest.param(with_certificate(spoil("his-cert")), "his", 3, "certificate-unusable", id="certificate-garbage"),
    pytest.param(with_certificate(spoil("his-key")), "his", 3, "certificate-unusable", id="certificates-key-garbage"),
    pytest.param(with_certificate(another_key), "his", 3, "certificate-unusable", id="key-of-another-certificate"),
    pytest.param(lambda home: with_tls(home, issue=True), "his", 3, "authority-missing", id="no-authority"),
    pytest.param(foreign_address, "his", 6, "privilege-missing", id="address-of-another-machine"),
    pytest.param(signed_target, "links", 3, "config-invalid", id="signed-targets-key-0644"),
    pytest.param(lambda home: (home / "data/his.db").unlink(), "his", 4, "db-missing", id="database-lost"),
]


@pytest.mark.parametrize("wrong, service, exit_code, code", STOPS)
def test_a_service_stops_with_the_sentence_that_mends_it(
    home: Path, wrong: Callable[[Path], object], service: str, exit_code: int, code: str
) -> None:
    wrong(home)
    returned, said = ended(home, service)
    assert (returned, said.code) == (exit_code, code), said
    same = [finding for finding in doctor(home) if finding["code"] == code]
    assert [(one["what"], one["remedy"], one["exit_code"]) for one in same] == [(said.message, said.hint, exit_code)]


@pytest.mark.parametrize("service", ["his", "monitor"])
def test_a_port_that_is_taken_is_named(home: Path, service: str) -> None:
    text = (home / "edge-node.toml").read_text()
    table = text.partition(f"[{service}]")[2]
    found = re.search(r'listen = "127.0.0.1:(\d+)"', table)
    assert found
    with socket.create_server(("127.0.0.1", int(found[1]))):
        returned, said = ended(home, service)
        same = [finding for finding in doctor(home) if finding["code"] == "already-running"]
    assert (returned, said.code) == (75, "already-running")
    assert f"sport = :{found[1]}" in said.hint and f"{service}.listen" in said.hint
    assert [(one["what"], one["remedy"]) for one in same] == [(said.message, said.hint)]


BUCKET = 'url = "s3://bucket/edge"\nendpoint = "http://127.0.0.1:9"\ncredential = "cloud-key"'
GOOD_KEY = b'access_key_id = "a"\nsecret_access_key = "b"\n'


@pytest.mark.parametrize(
    "content, mode, evidence",
    [
        pytest.param(None, 0o600, "there is no such file", id="lost"),
        pytest.param(b"access_key_id = sesame", 0o600, "it is not TOML", id="garbage"),
        pytest.param(b'access_key_id = "a"\n', 0o600, "secret_access_key is missing", id="half"),
        pytest.param(GOOD_KEY, 0o644, "its mode is 0644", id="open-to-others"),
    ],
)
def test_a_bucket_key_that_cannot_be_used_stops_that_copy_and_no_service(
    home: Path, content: bytes | None, mode: int, evidence: str
) -> None:
    """Capture goes on into the local replica; the sentence stands in the status, and again when the key is mended."""
    configure(home, (r'^url = "file://.*$', BUCKET))
    if content is not None:
        own(home, "cloud-key").write_bytes(content)
        own(home, "cloud-key").chmod(mode)

    def refused() -> dict[str, Any] | None:
        status = read_status(home / "run", "replica")
        entries = status.state["destinations"] if status else []
        return next((one for one in entries if one["name"] == "cloud" and one["state"] == "refused"), None)

    with goes_on(home, "replica"):
        entry = until(refused, within_s=WITHIN_S, every_s=0.2)
    assert evidence in json.dumps(entry, ensure_ascii=False)
    (same,) = [finding for finding in doctor(home) if evidence in finding["evidence"] and finding["part"] == "copies"]
    assert entry["reason"]["args"]["why"] in same["evidence"]
    assert same["exit_code"] == 5


def test_an_interface_that_is_not_there_is_named_and_the_others_are_watched(home: Path) -> None:
    more = '\n[[line]]\nname = "telecom"\npreferred = 7\ninterface = "absent0"\n'
    (home / "edge-node.toml").write_text((home / "edge-node.toml").read_text() + more)
    with goes_on(home, "links") as log:
        until(lambda: "interface_missing" in log.read_text(), within_s=WITHIN_S, every_s=0.1)
    said = re.search(r'interface_missing .*why="(.*)"', log.read_text())
    assert said
    (same,) = [finding for finding in doctor(home) if finding["code"] == "interface-missing"]
    assert (same["what"], same["exit_code"]) == (said[1], 6)
    checked = edge_node("config", "check", home=home)
    assert said[1] in checked.stderr and checked.returncode == 0, "a modem may be plugged in later"


@pytest.mark.parametrize("days, code", [(0.5, "certificate-expired"), (15, "certificate-expiring")])
def test_a_certificate_that_ends_is_told_everywhere_and_the_clinic_works(home: Path, days: float, code: str) -> None:
    with_tls(home)
    a_certificate(home, days=days)

    def told() -> list[str]:
        status = read_status(home / "run", "his")
        return [problem["code"] for problem in status.state["problems"]] if status else []

    with goes_on(home, "his"):
        until(lambda: told() == [code], within_s=WITHIN_S, every_s=0.2)
        (line,) = [row for row in edge_node("status", home=home).stdout.splitlines() if code in row]
        (same,) = [finding for finding in doctor(home) if finding["code"] == code]
    assert same["what"].split(" (")[0] in line
    assert "copy a new certificate and its key over" in same["remedy"]
    assert same["what"].split(" (")[0] in edge_node("config", "check", home=home).stderr


WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")


@needs_root
@pytest.mark.parametrize("command", [("run", "his"), ("run", "outbox"), ("db", "ensure")], ids=" ".join)
def test_a_state_folder_that_may_not_be_written_stops_it(home: Path, command: tuple[str, ...]) -> None:
    """root without its privileges is a user like any other."""
    home.chmod(0o555)
    try:
        said = [
            subprocess.run(
                [*WITHOUT_PRIVILEGES, sys.executable, "-m", "edge_node", *arguments, "--home", str(home)],
                capture_output=True, text=True, timeout=WITHIN_S, check=False,
            )
            for arguments in (command, ("doctor", "--json"))
        ]  # fmt: skip
    finally:
        home.chmod(0o750)
    assert said[0].returncode == 6, said[0].stderr
    assert f"error: privilege-missing: {home} may not be used by user root\n" in said[0].stderr
    assert f"hint: sudo chown -R root {home} && sudo chmod u+rwx {home}" in said[0].stderr
    (same,) = [finding for finding in json.loads(said[1].stdout) if finding["code"] == "privilege-missing"]
    assert f"{home} may not be used by user root" == same["what"]


@contextlib.contextmanager
def as_user(uid: int) -> Iterator[None]:
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_a_state_folder_of_another_user_is_named_with_its_owner() -> None:
    with tempfile.TemporaryDirectory(prefix="edge-node-owner-") as name:
        home = Path(name) / "node"
        (home / "data").mkdir(parents=True, mode=0o700)
        config = parse('[node]\nid = "clinic-0042"\n', home=home)
        with as_user(NOBODY), pytest.raises(ServiceError, match="cannot be reached by user nobody") as caught:
            need_folders(config)
        assert f"namei -l {home}" in str(caught.value.hint)
        Path(name).chmod(0o755)
        with as_user(NOBODY), pytest.raises(ServiceError, match=f"{home} may not be used by user nobody") as caught:
            need_folders(config)
        assert caught.value.context == "it belongs to root, mode 0755"
        os.chown(home, NOBODY, NOBODY)
        with as_user(NOBODY), pytest.raises(ServiceError, match=f"{home}/data may not be used by user nobody"):
            need_folders(config)
        os.chown(home / "data", NOBODY, NOBODY)
        with as_user(NOBODY):
            need_folders(config)


def test_a_wrong_configuration_is_said_by_doctor_as_by_every_service(home: Path) -> None:
    configure(home, (r"^idle_lock.*$", 'idle_lock = "15"'))
    returned, said = ended(home, "his")
    examined = edge_node("doctor", home=home)
    assert (returned, examined.returncode) == (3, 3)
    assert said.message in examined.stderr
