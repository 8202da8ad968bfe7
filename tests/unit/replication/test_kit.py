"""The recovery kit: what is in it and what is not, its numbers, and which one is read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from edge_node.base.errors import ReplicaError
from edge_node.config.load import parse
from edge_node.replication.destination import Destination
from edge_node.replication.kit import Kit, kit_number, make_kit, parse_kit, read_kit, ship_kit
from edge_node.replication.sealing import Sealer

RECOVERY, NODE = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
TEXT = f"""
[node]
id = "clinic-0042"
[replica]
encrypt_to = ["{RECOVERY.to_public()}", "{NODE.to_public()}"]
[[replica.destination]]
name = "cloud"
url = "s3://bucket/edge"
credential = "cloud-key"
"""


def a_home(folder: Path) -> Path:
    (folder / "credentials").mkdir()
    secrets = {"data-key": "ab" * 32, "his-secret": "cd" * 32, "node-identity": str(NODE), "cloud-key": "the cloud's"}
    for name, content in secrets.items():
        (folder / "credentials" / name).write_text(content)
    return folder


def a_kit(home: Path, text: str = TEXT, *, epoch: int = 1, now_ms: int = 1_800_000_000_000) -> Kit:
    return make_kit(parse(text, home=home), text, epoch=epoch, now_ms=now_ms)


def test_holds_what_a_new_machine_needs_and_no_key_to_any_store(tmp_path: Path) -> None:
    kit = a_kit(a_home(tmp_path))
    assert dict(kit.credentials) == {"data-key": "ab" * 32, "his-secret": "cd" * 32}
    assert (kit.node, kit.code, kit.epoch, kit.configuration) == ("clinic-0042", "0042", 1, TEXT)
    assert (kit.node_recipient, kit.lacks) == (str(NODE.to_public()), ())
    assert parse_kit(kit.to_json()) == kit
    body = kit.to_json().decode()
    assert "the cloud's" not in body
    assert str(NODE) not in body
    assert str(RECOVERY) not in body


def test_the_digest_changes_with_what_it_would_restore_and_with_nothing_else(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    kit = a_kit(home)
    assert a_kit(home, now_ms=1_900_000_000_000).digest() == kit.digest()
    assert replace(kit, number=9, program="later").digest() == kit.digest()
    assert a_kit(home, epoch=2).digest() != kit.digest()
    assert a_kit(home, TEXT + "\n# a remark\n").digest() != kit.digest()
    (home / "credentials" / "data-key").write_text("ef" * 32)
    assert a_kit(home).digest() != kit.digest()


def test_what_it_lacks_it_says(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    (home / "credentials" / "data-key").unlink()
    assert a_kit(home).lacks == ("data-key",)


@pytest.mark.parametrize(
    "key, number",
    [("c/kit/1.age", 1), ("c/kit/12.age", 12), ("c/kit/x.age", None), ("c/kit/1", None), ("c/e0001/1.age", None)],
)
def test_a_kit_is_known_by_its_key(key: str, number: int | None) -> None:
    assert kit_number(key) == number


def test_the_newest_that_opens_is_read_and_none_is_ever_replaced(tmp_path: Path) -> None:
    kit = a_kit(a_home(tmp_path))
    cloud = Destination("cloud", f"file://{tmp_path}/cloud", Sealer([str(RECOVERY.to_public())]))
    folder = tmp_path / "cloud" / "clinic-0042" / "kit"

    async def story() -> None:
        await cloud.open(known=False)
        assert await read_kit(cloud, [RECOVERY], node_id="clinic-0042") is None
        assert [await ship_kit(cloud, replace(kit, epoch=n)) for n in (1, 2, 3)] == [1, 2, 3]
        newest = await read_kit(cloud, [NODE, RECOVERY], node_id="clinic-0042")
        assert newest == replace(kit, epoch=3, number=3)
        (folder / "3.age").write_bytes(b"garbage")
        assert await read_kit(cloud, [RECOVERY], node_id="clinic-0042") == replace(kit, epoch=2, number=2)
        (folder / "2.age").unlink()  # A hole is not filled: the numbers only grow.
        assert await ship_kit(cloud, kit) == 4
        with pytest.raises(ReplicaError) as caught:
            await read_kit(cloud, [pyrage.x25519.Identity.generate()], node_id="clinic-0042")
        assert caught.value.code == "kit-unreadable"

    asyncio.run(story())


def test_a_schema_of_later_is_refused_in_words(tmp_path: Path) -> None:
    body = a_kit(a_home(tmp_path)).to_json().replace(b'"schema": 1', b'"schema": 2')
    with pytest.raises(ValueError, match="a kit of schema 2; this program knows 1"):
        parse_kit(body)
    with pytest.raises(ValueError, match="not a recovery kit"):
        parse_kit(b"[]")


def test_the_clinic_s_authority_comes_back_and_what_it_issued_does_not(tmp_path: Path) -> None:
    """Every computer of the clinic trusts it: a new machine with another one would be a stranger at every desk."""
    home = a_home(tmp_path)
    issuing = TEXT + "[his]\ntls = { issue = true }\n"
    assert a_kit(home, issuing).lacks == ("ca-cert", "ca-key")
    for name in ("ca-cert", "ca-key", "his-cert", "his-key"):
        (home / "credentials" / name).write_text(f"the {name}")
    kit = parse_kit(a_kit(home, issuing).to_json())
    assert kit.authority == {"certificate": "the ca-cert", "key": "the ca-key"}
    assert (kit.lacks, kit.credentials.keys()) == ((), {"data-key", "his-secret"})
    # Made and not used yet: it is kept all the same, and one half of it is no authority.
    assert a_kit(home).authority == kit.authority
    (home / "credentials" / "ca-key").unlink()
    assert (a_kit(home).authority, a_kit(home).lacks) == (None, ("ca-key",))


def test_a_certificate_that_was_given_to_the_his_is_in_it(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    given = TEXT + "[his]\ntls = { certificate = 'hospital-cert', key = 'hospital-key' }\n"
    (home / "credentials" / "hospital-cert").write_text("theirs")
    kit = a_kit(home, given)
    assert (kit.credentials["hospital-cert"], kit.lacks) == ("theirs", ("hospital-key",))
