"""The clinic's authority in a real browser: without a warning where it is trusted, and only for the clinic's names."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import re
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, ViewportSize, sync_playwright

from edge_node.cli.handover import as_page, gathered
from edge_node.config.load import load
from edge_node.services.certificates import clinic_names
from edge_node.tls import kept
from edge_node.tls.names import names_of
from edge_node.tls.place import Place
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.support.clinic import PATIENCE_MS, WIDE
from tests.support.his_service import ISSUED, Running, a_config, a_home, running
from tests.support.pages import Trouble, faults, overflow
from tests.support.trusting import trusting_browser

SHOTS = Path(__file__).parent / "shots"
TABLET: ViewportSize = {"width": 800, "height": 1100}
NAMES = ("clinic-0042", "his.clinic.lan", "www.bank.example")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: make test-deps installs it (apt-get install chromium fonts-noto-cjk)")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def node(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The HIS over TLS, by an authority of its own."""
    home = a_home(Path(tmp_path_factory.mktemp("clinic")) / "node", his=f'{ISSUED}\nnames = ["his.clinic.lan"]')
    config = (home / "edge-node.toml").read_text()
    (home / "edge-node.toml").write_text(
        config.replace("[his]", 'name = "西城门诊部"\ncontact = "王工 138 0000 0000"\n[his]')
    )
    names = clinic_names(a_config(home))
    kept.write_authority(
        home / "credentials", node_id="clinic-0042", clinic="西城门诊部", names=names, now=dt.datetime.now(dt.UTC)
    )
    with running(home, ssl.create_default_context(cafile=home / "credentials/ca-cert")) as node:
        yield node


@pytest.fixture(scope="module")
def browser(playwright: Playwright, node: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with trusting_browser(
        playwright.chromium, str(CHROMIUM), FLAGS, home=tmp_path_factory.mktemp("home"), names=NAMES,
        authority=node.home / "credentials/ca-cert",
    ) as browser:  # fmt: skip
        yield browser


@contextlib.contextmanager
def a_page(browser: Browser, port: int, language: str = "zh_Hans_CN") -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": "lang", "value": language, "url": f"https://127.0.0.1:{port}"}])
    try:
        yield context.new_page()
    finally:
        context.close()


@contextlib.contextmanager
def server_for(node: Running, folder: Path, name: str) -> Iterator[int]:
    """A server of somebody who has stolen the key of the clinic's authority, and would be `name`."""
    place = Place(name="stolen", certificate=folder / "cert", key=folder / "key")
    authority = kept.read_authority_of(a_config(node.home))
    kept.write_own(place, authority, node_id="x", names=names_of([name]), now=dt.datetime.now(dt.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.certificate, place.key)

    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "clinic-0042", "his.clinic.lan"])
def test_a_computer_that_trusts_the_clinic_is_not_warned(node: Running, browser: Browser, host: str) -> None:
    with a_page(browser, node.port) as page:
        answer = page.goto(f"https://{host}:{node.port}/login")
        assert answer is not None and answer.status == 200
        details = answer.security_details()
        assert details is not None and details.get("issuer") == "Edge node clinic-0042"


def test_a_computer_that_does_not_is(node: Running, playwright: Playwright, tmp_path: Path) -> None:
    with (
        trusting_browser(playwright.chromium, str(CHROMIUM), FLAGS, home=tmp_path, authority=None) as stranger,
        a_page(stranger, node.port) as page,
        pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"),
    ):
        page.goto(f"https://127.0.0.1:{node.port}/login")


def test_the_authority_cannot_be_used_against_another_site(node: Running, browser: Browser, tmp_path: Path) -> None:
    with (
        server_for(node, tmp_path, "www.bank.example") as port,
        a_page(browser, port) as page,
        pytest.raises(Error, match=r"ERR_CERT_\w+"),
    ):
        page.goto(f"https://www.bank.example:{port}/")
    with server_for(node, tmp_path, "his.clinic.lan") as port, a_page(browser, port) as page:
        answer = page.goto(f"https://his.clinic.lan:{port}/")
        assert answer is not None, "the same server under the clinic's own name is taken: it was the name"


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
def test_the_page_on_trust_is_sound_and_fits_one_sheet(node: Running, browser: Browser, language: str) -> None:
    with a_page(browser, node.port, language) as page:
        trouble = Trouble(page)
        page.goto(f"https://127.0.0.1:{node.port}/trust")
        found = faults(page, language=language)
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"14-trust-{language}-{WIDE['width']}.png", full_page=True)
        page.set_viewport_size(TABLET)
        found += [f"at {TABLET['width']} px: {fault}" for fault in overflow(page)]
        page.screenshot(path=SHOTS / f"14-trust-{language}-{TABLET['width']}.png", full_page=True)
        sheet = page.pdf(path=SHOTS / f"14-trust-{language}.pdf", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
        assert not (found + trouble.lines), "\n".join(found + trouble.lines)


def test_the_file_is_the_one_whose_fingerprint_is_shown(node: Running, browser: Browser, tmp_path: Path) -> None:
    with a_page(browser, node.port) as page:
        page.goto(f"https://127.0.0.1:{node.port}/login")
        page.click("a[href='/trust']")
        shown = page.locator(".trust__finger dd").nth(2).inner_text().split()
        with page.expect_download() as downloading:
            page.click(".panel .trust__get a")
        downloaded = tmp_path / downloading.value.suggested_filename
        downloading.value.save_as(downloaded)
    assert downloaded.name == "edge-node-clinic-0042.crt"
    digest = hashlib.sha256(downloaded.read_bytes()).hexdigest().upper()
    assert "".join(shown) == digest, "what certutil -hashfile says of the file is what the sheet says"
    authority = ssl.PEM_cert_to_DER_cert((node.home / "credentials/ca-cert").read_text())
    assert downloaded.read_bytes() == authority


@pytest.mark.parametrize("language", ["zh_Hans_CN", "en"])
def test_the_hand_over_sheet_is_sound_and_fits_one_sheet(
    node: Running, browser: Browser, tmp_path: Path, language: str
) -> None:
    sheet = tmp_path / "sheet.html"
    sheet.write_text(as_page(gathered(load(node.home / "edge-node.toml", home=node.home)), language), encoding="utf-8")
    with a_page(browser, node.port, language) as page:
        trouble = Trouble(page)
        page.goto(sheet.as_uri())
        found = faults(page, language=language)
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"14-handover-{language}.png", full_page=True)
        printed = page.pdf(path=SHOTS / f"14-handover-{language}.pdf", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        with page.expect_download() as downloading:
            page.click(".get")
        downloading.value.save_as(tmp_path / "ca.crt")
        authority = ssl.PEM_cert_to_DER_cert((node.home / "credentials/ca-cert").read_text())
        assert (tmp_path / "ca.crt").read_bytes() == authority
        assert not (found + trouble.lines), "\n".join(found + trouble.lines)
