"""A Chromium that was told to trust an authority, as a workstation of the clinic is; with a home of its own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType

CERTUTIL = shutil.which("certutil")


@contextlib.contextmanager
def trusting_browser(
    chromium: BrowserType,
    program: str,
    flags: Sequence[str],
    *,
    home: Path,
    authority: Path | None,
    names: Sequence[str] = (),
) -> Iterator[Browser]:
    """Chromium with an empty home, in which it trusts `authority`; `names` lead to this machine without any DNS."""
    if CERTUTIL is None:
        pytest.skip("no certutil: make test-deps installs it (apt-get install libnss3-tools)")
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    database = ("-d", f"sql:{store}")
    subprocess.run([CERTUTIL, *database, "-N", "--empty-password"], check=True, timeout=60)
    if authority is not None:
        # C: trusted to issue certificates for servers, and for nothing else.
        argv = [CERTUTIL, *database, "-A", "-t", "C,,", "-n", "clinic", "-i", str(authority)]
        subprocess.run(argv, check=True, timeout=60)
    rules = ", ".join(f"MAP {name} 127.0.0.1" for name in names)
    browser = chromium.launch(
        executable_path=program, args=[*flags, f"--host-resolver-rules={rules}"], env={"HOME": str(home)}
    )
    try:
        yield browser
    finally:
        browser.close()
