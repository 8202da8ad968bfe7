"""A secret is read where nobody else may read it, and an error never repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_node.base.errors import ConfigError, ExitCode
from edge_node.base.secret import read_secret


def a_secret(folder: Path, mode: int) -> Path:
    path = folder / "data-key"
    path.write_bytes(b"sesame\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_it_is_read(tmp_path: Path, mode: int) -> None:
    assert read_secret(a_secret(tmp_path, mode), hint="") == b"sesame\n"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666])
def test_one_that_others_may_use_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    path = a_secret(tmp_path, mode)
    with pytest.raises(ConfigError) as caught:
        read_secret(path, hint="")
    said = caught.value.render()
    assert (caught.value.code, caught.value.exit_code) == ("credential-exposed", ExitCode.CONFIG)
    assert f"chmod 600 {path}" in said and f"{mode:04o}" in said and "sesame" not in said


def test_one_that_is_not_there_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secret(tmp_path / "data-key", hint="it is in the kit")
    assert (caught.value.code, caught.value.hint) == ("credential-missing", "it is in the kit")


def test_what_systemd_hands_over_shows_a_right_of_the_group_and_is_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(a_secret(tmp_path, 0o440), hint="") == b"sesame\n"
