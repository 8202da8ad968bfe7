"""The key of the reflector: a file that nobody else may read, or a sentence that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.base.errors import ConfigError, ExitCode
from edge_node.base.shared_key import ABSENT, read_key

KEY = bytes(range(32))


def key_file(folder: Path, text: str, *, mode: int = 0o600) -> Path:
    path = folder / "reflector.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_hexadecimal(tmp_path: Path) -> None:
    assert read_key(key_file(tmp_path, KEY.hex() + "\n")) == KEY
    assert read_key(key_file(tmp_path, KEY.hex().upper(), mode=0o400)) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_may_read_is_none(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="may be read by others") as caught:
        read_key(key_file(tmp_path, KEY.hex(), mode=mode))
    assert f"{mode:04o}" in str(caught.value.context)
    assert caught.value.exit_code is ExitCode.CONFIG


@pytest.mark.parametrize("text", ["", "short", "00" * 15, "00" * 129, "zz" * 32, "0" * 33, "é" * 32])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is none"):
        read_key(key_file(tmp_path, text))


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_key(tmp_path / "none")
    assert caught.value.code == "config-missing"


def test_a_credential_that_systemd_did_not_find_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not there when the service was started") as caught:
        read_key(key_file(tmp_path, ABSENT, mode=0o440))
    assert caught.value.exit_code is ExitCode.CONFIG


def test_a_credential_shows_the_right_of_its_access_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_key(key_file(tmp_path, KEY.hex(), mode=0o440)) == KEY
