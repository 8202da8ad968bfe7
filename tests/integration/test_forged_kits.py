"""A recovery kit that is not the clinic's: whoever knows a recipient and may write where copies lie can seal one."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from edge_node.base.errors import ReplicaError
from edge_node.cli import kit_trust
from edge_node.cli.promotion import look
from edge_node.config.load import parse
from edge_node.his.cipher import Cipher
from edge_node.his.patients.records import PURPOSE
from edge_node.replication.destination import Destination
from edge_node.replication.kit import Kit, parse_kit, read_kit, ship_kit
from edge_node.replication.sealing import Sealer, read_identity
from edge_node.services.replica_ownership import data_key
from edge_node.store.connection import connect, transaction
from tests.support.owners import NODE, a_wish, another_cloud, made_clinic, promote_command, promoted, shipping
from tests.support.replicated import Replicated

ID_NUMBER = "11010519491231002X"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Replicated:
    """A clinic with a patient whose ID number is sealed; it has shipped, and its machine is gone."""
    made = made_clinic(tmp_path_factory.mktemp("clinic") / "a")
    key = data_key(made.home)
    assert key is not None
    cipher = Cipher(key)
    conn = connect(made.his)
    with transaction(conn):
        conn.execute(
            "INSERT INTO patient (id, mrn, name, sex, birth_date, id_type, id_number_sealed, id_number_digest,"
            " created_at, created_by, updated_at)"
            " SELECT '01J', 'M1', '王秀英', 2, '1949-12-31', 'resident', ?, ?, 0, id, 0 FROM staff LIMIT 1",
            (cipher.seal(ID_NUMBER, purpose=PURPOSE), cipher.digest(ID_NUMBER)),
        )
    conn.close()
    with shipping(made):
        pass
    return made


@pytest.fixture
def cloud(clinic: Replicated, tmp_path: Path) -> str:
    return another_cloud(clinic, tmp_path / "cloud")


def forged(clinic: Replicated, cloud: str, change: Callable[[Kit], Kit]) -> Kit:
    """The newest kit, changed, sealed to the recovery recipient, and put where the clinic's kits lie."""
    identity = read_identity(clinic.identity_file())

    async def forge() -> Kit:
        there = Destination("cloud", cloud, Sealer([str(identity.to_public())]))
        await there.open(known=True)
        true = await read_kit(there, [identity], node_id=NODE)
        assert true is not None
        made = change(true)
        return replace(made, number=await ship_kit(there, made))

    return asyncio.run(forge())


def claims(cloud: str) -> list[str]:
    return sorted(path.name for path in Path(cloud.removeprefix("file://"), NODE, "claims").glob("e*"))


def test_a_kit_with_another_data_key_is_refused_before_anything_is_claimed(
    clinic: Replicated, cloud: str, tmp_path: Path
) -> None:
    other = forged(
        clinic, cloud, lambda kit: replace(kit, credentials={**kit.credentials, "data-key": secrets.token_hex(32)})
    )
    wish = a_wish(clinic, tmp_path / "b", cloud=cloud)
    with pytest.raises(ReplicaError) as refused:
        promoted(wish)
    assert f"recovery kit {other.number} is not this clinic's" in refused.value.message
    assert claims(cloud) == ["e0001.json"]
    # As the hint says.
    Path(cloud.removeprefix("file://"), NODE, "kit", f"{other.number}.age").unlink()
    assert promoted(a_wish(clinic, tmp_path / "b", cloud=cloud)).claim.epoch == 2
    assert data_key(tmp_path / "b") == data_key(clinic.home)


def test_a_kit_whose_data_key_is_none_is_refused(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    forged(clinic, cloud, lambda kit: replace(kit, credentials={**kit.credentials, "data-key": "no key"}))
    with pytest.raises(ReplicaError) as refused:
        asyncio.run(look(a_wish(clinic, tmp_path / "b", cloud=cloud), tries_conditions=False))
    assert [problem.text for problem in refused.value.problems] == ["holds a data key that is none: who made it?"]


def test_a_kit_that_brings_an_identity_for_the_machine_is_refused(
    clinic: Replicated, cloud: str, tmp_path: Path
) -> None:
    identity = str(pyrage.x25519.Identity.generate())
    forged(clinic, cloud, lambda kit: replace(kit, credentials={**kit.credentials, "node-identity": identity}))
    with pytest.raises(ReplicaError) as refused:
        asyncio.run(look(a_wish(clinic, tmp_path / "b", cloud=cloud), tries_conditions=False))
    assert [problem.text.split(",")[0] for problem in refused.value.problems] == ["holds node-identity"]


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "..", ".hidden", "", "a/b"])
def test_a_name_that_leads_out_of_the_folder_makes_it_no_kit(clinic: Replicated, cloud: str, name: str) -> None:
    def escape(kit: Kit) -> Kit:
        return replace(kit, credentials={**kit.credentials, name: "written by whoever made the kit"})

    made = forged(clinic, cloud, escape)
    with pytest.raises(ValueError, match="is no name of a credential"):
        parse_kit(made.to_json())


def test_a_person_is_told_who_else_reads_and_where_it_sends(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    stranger = str(pyrage.x25519.Identity.generate().to_public())

    def listen_in(kit: Kit) -> Kit:
        text = kit.configuration.replace("encrypt_to = [", f'encrypt_to = ["{stranger}", ')
        return replace(kit, configuration=text)

    def dry_run() -> Any:
        return promote_command(clinic, tmp_path / "b", "--dry-run", cloud=cloud)

    before = dry_run()
    assert before.returncode == 0, before.stderr
    assert "also seals" not in before.stdout
    assert "it will send to cloud (file://" in before.stdout
    forged(clinic, cloud, listen_in)
    assert f"also seals every copy to {stranger}" in dry_run().stdout


def test_an_epoch_that_nobody_has_proven_is_told(clinic: Replicated, cloud: str, tmp_path: Path) -> None:
    """A history put beside the clinic's, of a later epoch: a restore takes the latest."""
    folder = Path(cloud.removeprefix("file://"), NODE)
    wish = a_wish(clinic, tmp_path / "b", cloud=cloud)
    assert asyncio.run(look(wish, tries_conditions=False)).unproven is None
    shutil.copytree(folder / "e0001", folder / "e0009")
    assert asyncio.run(look(wish, tries_conditions=False)).unproven == 9
    claim = json.loads((folder / "claims" / "e0001.json").read_bytes())
    (folder / "claims" / "e0009.json").write_text(json.dumps({**claim, "epoch": 9}))
    assert asyncio.run(look(wish, tries_conditions=False)).unproven == 9
    assert "epoch 9 there" in promote_command(clinic, tmp_path / "b", "--dry-run", cloud=cloud).stdout


def test_what_is_not_of_this_node_is_found_by_a_drill(clinic: Replicated, cloud: str) -> None:
    config, key = clinic.config, data_key(clinic.home)
    stranger = str(pyrage.x25519.Identity.generate().to_public())
    true = forged(clinic, cloud, lambda kit: kit)
    text = true.configuration.replace("encrypt_to = [", f'encrypt_to = ["{stranger}", ')
    assert kit_trust.not_ours(true, config, key) is None
    assert stranger in (kit_trust.not_ours(replace(true, configuration=text), config, key) or "")
    assert kit_trust.not_ours(replace(true, configuration="[node]"), config, key) is not None
    other = replace(true, credentials={**true.credentials, "data-key": secrets.token_hex(32)})
    assert kit_trust.not_ours(other, config, key) == "holds another data key than this node"


def test_an_identity_that_will_not_open_what_is_shipped_is_told() -> None:
    one, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    text = f'[node]\nid = "clinic-0042"\n[replica]\nencrypt_to = ["{other.to_public()}"]\n'
    config = parse(text, source="a kit", home=Path("/nowhere"))
    kit = Kit(
        schema=1, number=1, node="clinic-0042", name="", code="", epoch=1, machine="a", program="1", made_at="",
        configuration=text, node_recipient=str(other.to_public()), credentials={}, authority=None, lacks=(),
    )  # fmt: skip
    said = list(kit_trust.told(kit, config, one))
    assert [sentence.split(":")[0] for sentence in said] == [
        "the identity that was given is none that its configuration seals to",
        "it will send to nobody",
    ]
