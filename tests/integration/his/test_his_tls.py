"""The certificate of the pages while they are served: issued, renewed and exchanged, and nobody is turned away."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.client
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from edge_node.base.clock import SystemClock
from edge_node.base.errors import ConfigError
from edge_node.base.files import read_status
from edge_node.services import his as service
from edge_node.services.certificates import clinic_names
from edge_node.services.page_certificate import EVERY_S
from edge_node.tls import kept
from edge_node.tls.authority import make_authority
from edge_node.tls.names import names_of
from edge_node.tls.place import Place
from tests.support.his_service import GIVEN, ISSUED, a_certificate, a_config, a_home, running, write_secret
from tests.support.waiting import until

DAY_S = 86_400.0
WITHIN_S = 45.0


class MovedClock(SystemClock):
    """The machine's clock, moved on by a test: boot time by as much as makes the next look due."""

    def __init__(self) -> None:
        self.wall_s = self.boot_s = 0.0

    def boottime(self) -> float:
        return super().boottime() + self.boot_s

    def wall_ms(self) -> int:
        return super().wall_ms() + round(self.wall_s * 1000)

    def move(self, days: float) -> None:
        self.wall_s += days * DAY_S
        self.look_again()

    def look_again(self) -> None:
        self.boot_s += EVERY_S


def with_authority(folder: Path, *, his: str = ISSUED, node_id: str = "clinic-0042") -> tuple[Path, ssl.SSLContext]:
    """A node with a new authority, and what a computer that trusts it uses."""
    home = a_home(folder, his=his)
    now = dt.datetime.now(dt.UTC)
    kept.write_authority(
        home / "credentials", node_id=node_id, clinic="西城门诊部", names=clinic_names(a_config(home)), now=now
    )
    return home, trusting(home)


def trusting(home: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=home / "credentials/ca-cert")


def shown_at(port: int, *, host: str | None = None) -> x509.Certificate:
    """The certificate that a new connection is shown; without `host` the client sends no name, as for an address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    with context.wrap_socket(plain, server_hostname=host) as secured:
        content = secured.getpeercert(binary_form=True)
    assert content is not None
    return x509.load_der_x509_certificate(content)


def connection(port: int, trust: ssl.SSLContext) -> http.client.HTTPSConnection:
    """One that is checked against the address, as a browser's that was given one."""
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=trust)


def problems(home: Path) -> list[str]:
    status = read_status(home / "run", "his")
    return [problem["code"] for problem in status.state["problems"]] if status else []


@contextlib.contextmanager
def asked_all_the_while(port: int, trust: ssl.SSLContext) -> Iterator[list[str]]:
    """New connections, one after the other, while the block runs; what failed of them."""
    over, failed, count = threading.Event(), list[str](), 0

    def ask() -> None:
        nonlocal count
        while not over.is_set():
            try:
                with contextlib.closing(connection(port, trust)) as new:
                    new.request("GET", "/healthz")
                    assert new.getresponse().status == 200
                count += 1
            except Exception as error:
                failed.append(repr(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        until(lambda: count > 3 or failed, within_s=WITHIN_S, every_s=0.1)
        yield failed
        before = count
        until(lambda: count > before + 3 or failed, within_s=WITHIN_S, every_s=0.1)
    finally:
        over.set()
        asking.join(WITHIN_S)


def test_the_node_issues_its_certificate_at_the_first_start(tmp_path: Path) -> None:
    home, trust = with_authority(tmp_path / "node")
    with running(home, trust) as node:
        assert node.get("/healthz").status == 200, "by the name localhost, checked against the clinic's authority"
        assert shown_at(node.port) == shown_at(node.port, host="clinic-0042")
    key = home / "credentials/his-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = key.read_bytes()
    with running(home, trust):
        pass
    assert key.read_bytes() == first, "and keeps it at the second"


def test_openssl_takes_it_for_each_of_its_names_and_for_no_other(tmp_path: Path) -> None:
    home, trust = with_authority(tmp_path / "node", his=f'{ISSUED}\nnames = ["his.clinic.lan", "10.9.0.1"]')
    with running(home, trust):
        pass

    def accepts(*about: str) -> bool:
        argv = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca-cert", *about, "his-cert"]
        return subprocess.run(argv, cwd=home / "credentials", capture_output=True, check=False).returncode == 0

    for name in ("his.clinic.lan", "clinic-0042", "localhost"):
        assert accepts("-verify_hostname", name), name
    for address in ("10.9.0.1", "127.0.0.1"):
        assert accepts("-verify_ip", address), address
    assert not accepts("-verify_hostname", "www.bank.example")
    assert not accepts("-verify_ip", "10.9.0.2")


def test_openssl_refuses_what_the_authority_may_not_certify(tmp_path: Path) -> None:
    """Whoever steals its key can make no certificate for a bank that the clinic's computers take."""
    home, _ = with_authority(tmp_path / "node")
    authority = kept.read_authority_of(a_config(home))
    for name in ("www.bank.example", "8.8.8.8"):
        place = Place(name="x", certificate=tmp_path / "cert", key=tmp_path / "key")
        kept.write_own(place, authority, node_id="x", names=names_of([name]), now=dt.datetime.now(dt.UTC))
        argv = ["openssl", "verify", "-CAfile", str(home / "credentials/ca-cert"), str(place.certificate)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert "permitted subtree violation" in done.stderr, name


def test_it_is_renewed_while_pages_are_served_and_no_connection_fails(tmp_path: Path) -> None:
    home, trust = with_authority(tmp_path / "node")
    clock = MovedClock()
    with running(home, trust, clock) as node, asked_all_the_while(node.port, trust) as failed:
        first = shown_at(node.port)
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", node.port, timeout=30, context=trust)
        ) as open_before:
            open_before.request("GET", "/healthz")
            open_before.getresponse().read()
            (home / "credentials/his-cert").unlink()
            clock.look_again()
            until(lambda: shown_at(node.port) != first, within_s=WITHIN_S, every_s=0.1)
            open_before.request("GET", "/healthz")
            assert open_before.getresponse().status == 200, "who was connected before stays so"
    assert failed == []


def test_it_is_renewed_by_itself_when_a_third_of_its_life_is_left(tmp_path: Path) -> None:
    home, trust = with_authority(tmp_path / "node")
    clock = MovedClock()
    with running(home, trust, clock) as node:
        first = shown_at(node.port)
        clock.move(days=200)
        clock.move(days=70)
        second = until(lambda: now if (now := shown_at(node.port)) != first else None, within_s=WITHIN_S, every_s=0.1)
        assert second.not_valid_after_utc - first.not_valid_after_utc > dt.timedelta(days=265)
        assert problems(home) == []


def test_a_new_authority_and_a_changed_key_lead_to_a_new_certificate(tmp_path: Path) -> None:
    home, trust = with_authority(tmp_path / "node")
    clock = MovedClock()
    with running(home, trust, clock) as node:
        made = make_authority(
            node_id="clinic-0042", clinic="西城门诊部", names=clinic_names(a_config(home)), now=dt.datetime.now(dt.UTC)
        )
        write_secret(home / "credentials/ca-key", made.key.encode())
        write_secret(home / "credentials/ca-cert", made.certificate.encode())
        clock.look_again()
        authority = x509.load_pem_x509_certificate(made.certificate.encode())

        def by_the_new_one() -> bool:
            with contextlib.suppress(Exception):
                shown_at(node.port).verify_directly_issued_by(authority)
                return True
            return False

        until(by_the_new_one, within_s=WITHIN_S, every_s=0.1)


def test_a_bought_certificate_is_exchanged_by_copying_it_and_a_spoiled_one_is_told(tmp_path: Path) -> None:
    home = a_home(tmp_path / "node", his=GIVEN)
    trust = a_certificate(home)
    clock = MovedClock()
    with running(home, trust, clock) as node:
        first = shown_at(node.port)
        (home / "credentials/his-cert").write_text("half a cop")
        clock.look_again()
        until(lambda: "certificate-unusable" in problems(home), within_s=WITHIN_S, every_s=0.1)
        assert shown_at(node.port) == first, "what was shown stays"
        a_certificate(home)
        clock.look_again()
        until(lambda: shown_at(node.port) != first, within_s=WITHIN_S, every_s=0.1)
        until(lambda: problems(home) == [], within_s=WITHIN_S, every_s=0.1)


@pytest.mark.parametrize(
    "days, his, code",
    [
        pytest.param(20, GIVEN, "certificate-expiring", id="ends-in-nineteen-days"),
        pytest.param(0.5, GIVEN, "certificate-expired", id="ended-half-a-day-ago"),
        pytest.param(397, f'{GIVEN}\nnames = ["his.clinic.lan"]', "certificate-mismatch", id="for-another-name"),
    ],
)
def test_a_bought_certificate_that_browsers_warn_of_is_told_and_the_clinic_works(
    tmp_path: Path, days: float, his: str, code: str
) -> None:
    home = a_home(tmp_path / "node", his=his)
    a_certificate(home, days=days)
    with running(home, ssl._create_unverified_context()) as node:
        assert node.get("/healthz").status == 200
        until(lambda: problems(home) == [code], within_s=WITHIN_S, every_s=0.1)


def refused(home: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        asyncio.run(service.serve(a_config(home), SystemClock(), asyncio.Event()))
    return caught.value


def test_without_an_authority_it_does_not_begin_and_makes_none(tmp_path: Path) -> None:
    """A new one would be trusted by nobody; the lost one may lie in the recovery kit."""
    home = a_home(tmp_path / "node", his=ISSUED)
    error = refused(home)
    assert error.code == "authority-missing" and "edge-node certificate make-authority" in str(error.hint)
    assert not (home / "credentials/ca-key").exists()


def test_what_somebody_else_issued_is_not_overwritten(tmp_path: Path) -> None:
    home, _ = with_authority(tmp_path / "node")
    a_certificate(home)
    before = (home / "credentials/his-key").read_bytes()
    assert refused(home).code == "certificate-foreign"
    assert (home / "credentials/his-key").read_bytes() == before


def test_an_authority_whose_key_others_may_read_is_refused(tmp_path: Path) -> None:
    home, _ = with_authority(tmp_path / "node")
    (home / "credentials/ca-key").chmod(0o640)
    error = refused(home)
    assert error.code == "credential-exposed" and f"chmod 600 {home}/credentials/ca-key" in str(error.hint)


def test_a_half_written_pair_is_mended_at_the_next_start(tmp_path: Path) -> None:
    """Power was cut between the two files."""
    home, trust = with_authority(tmp_path / "node")
    with running(home, trust):
        pass
    write_secret(home / "credentials/his-key", (home / "credentials/ca-key").read_bytes())
    with running(home, trust) as node:
        assert node.get("/healthz").status == 200
