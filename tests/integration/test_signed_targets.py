"""Keys of signed targets: what is wrong with one stops the start, and a check says it before."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_node.base.shared_key import ABSENT
from edge_node.cli.config import config_group
from edge_node.cli.main import Where
from edge_node.config.load import load
from edge_node.services.line_keys import read_keys, setup_to_ask

KEY = "5a" * 32
CONFIGURATION = """
[node]
id = "clinic-0042"
[[line]]
name = "telecom"
preferred = 1
interface = "no-such-if0"
target = [{ address = "10.100.0.1", kind = "stamp", credential = "stamp-key" }, { address = "10.100.0.2" }]
[[line]]
name = "unicom"
preferred = 2
interface = "no-such-if1"
target = [{ address = "10.100.0.1", kind = "stamp", credential = "other-key" }]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "edge-node.toml").write_text(CONFIGURATION, encoding="utf-8")
    (tmp_path / "credentials").mkdir(mode=0o700)
    return tmp_path


def put(home: Path, name: str, text: str, mode: int = 0o600) -> None:
    path = home / "credentials" / name
    path.write_text(text)
    path.chmod(mode)


def check(home: Path) -> Result:
    return CliRunner().invoke(config_group, ["check", "--home", str(home)], obj=Where())


def started(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`edge-node run links`, which is expected to end by itself."""
    argv = [sys.executable, "-m", "edge_node", "run", "links", "--home", str(home)]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment}
    )


def test_a_key_reaches_the_targets_that_name_it(home: Path) -> None:
    put(home, "stamp-key", KEY)
    put(home, "other-key", KEY[:32])
    setup = setup_to_ask(load(home / "edge-node.toml", home=home))
    stamp, echo = setup.targets_of("telecom")
    assert (stamp.key, echo.key) == (bytes.fromhex(KEY), None)
    assert [target.key for target in setup.targets_of("unicom")] == [bytes.fromhex(KEY[:32])]
    assert repr(bytes.fromhex(KEY)) not in repr(setup), "a key is not shown"
    assert check(home).exit_code == 0


def test_every_key_that_is_wrong_is_named_with_its_target(home: Path) -> None:
    put(home, "stamp-key", KEY, mode=0o644)
    put(home, "other-key", "5a" * 15)
    keys, problems = read_keys(load(home / "edge-node.toml", home=home))
    assert keys == {}
    assert [problem.path for problem in problems] == ["line[0].target[0].credential", "line[1].target[0].credential"]
    assert "10.100.0.1 is not asked" in problems[0].text and "may be read by others" in problems[0].text
    assert "16 to 128 bytes" in problems[1].text
    assert not any(KEY in problem.text for problem in problems)


def test_the_check_and_the_start_say_the_same(home: Path) -> None:
    checked, begun = check(home), started(home)
    assert checked.exit_code != 0 and begun.returncode == 3
    said = getattr(checked.exception, "render")()  # noqa: B009
    assert said.splitlines() == begun.stderr.splitlines()[-len(said.splitlines()) :]
    assert said.count("cannot be read (No such file or directory)") == 2


def test_what_systemd_did_not_find_is_said_by_the_service(home: Path, tmp_path: Path) -> None:
    """Its unit hands out a placeholder, so that the service starts at all and can say so."""
    for name in ("stamp-key", "other-key"):
        put(home, name, ABSENT)
    begun = started(home, CREDENTIALS_DIRECTORY=str(home / "credentials"))
    assert begun.returncode == 3
    assert begun.stderr.count("was not there when the service was started") == 2


def test_who_may_not_look_is_told_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, me = Path(folder), os.geteuid()
        (home / "edge-node.toml").write_text(CONFIGURATION, encoding="utf-8")
        (home / "credentials").mkdir()
        home.chmod(0o755)
        (home / "credentials").chmod(0 if me else 0o700)
        try:
            if me == 0:
                os.seteuid(65534)
            checked = check(home)
        finally:
            os.seteuid(me)
            (home / "credentials").chmod(0o700)
    assert checked.exit_code == 0, checked.output
    assert "only root may look" in checked.stderr
