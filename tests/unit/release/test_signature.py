"""Who made a bundle, as the release in use has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_node.release.bundle import INSTALLER, LOCK, MAKERS, MANIFEST, SIGNATURES, SUMS, digest, unsound
from edge_node.release.signature import makers_of, public_of, sign, why_untrusted, write_makers
from tests.support.makers import a_key

OLD, NEW, FOREIGN = a_key(1), a_key(2), a_key(3)


def a_bundle(folder: Path, *signed_with: bytes, takes: dict[str, bytes]) -> Path:
    """As `build` makes one, with less in it."""
    folder.mkdir()
    for name in (MANIFEST, LOCK, INSTALLER):
        (folder / name).write_text(f"{name} of {folder.name}\n")
    if takes:
        write_makers(folder, [(public_of(key), name) for name, key in takes.items()])
    (folder / SUMS).write_text("".join(f"{digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())))
    if signed_with:
        sign(folder, signed_with)
    return folder


@pytest.fixture
def in_use(tmp_path: Path) -> Path:
    """The release in use takes what the old key has signed."""
    return a_bundle(tmp_path / "in-use", OLD, takes={"maker": OLD})


def refused(bundle: Path, in_use: Path) -> str:
    """Why a bundle is not taken; empty where it is."""
    problems = [f"{one.path} {one.text}" for one in unsound(bundle)]
    return "; ".join(filter(None, [*problems, why_untrusted(bundle, makers_of(in_use))]))


def test_what_a_known_maker_signed_is_taken(tmp_path: Path, in_use: Path) -> None:
    assert refused(a_bundle(tmp_path / "next", OLD, takes={"maker": OLD}), in_use) == ""


def test_without_a_signature(tmp_path: Path, in_use: Path) -> None:
    why = refused(a_bundle(tmp_path / "next", takes={}), in_use)
    assert why.startswith("is not signed, and the release in use takes what maker (")


def test_with_a_key_that_nobody_knows(tmp_path: Path, in_use: Path) -> None:
    """Although it names that key among its own makers."""
    why = refused(a_bundle(tmp_path / "next", FOREIGN, takes={"maker": FOREIGN}), in_use)
    assert "is signed with" in why and "alone, and the release in use takes what maker (" in why


@pytest.mark.parametrize("victim", [MANIFEST, INSTALLER, MAKERS])
def test_a_file_that_was_changed(tmp_path: Path, in_use: Path, victim: str) -> None:
    bundle = a_bundle(tmp_path / "next", OLD, takes={"maker": OLD})
    (bundle / victim).write_text("of somebody else\n")
    assert refused(bundle, in_use) == f"{victim} is not as it was made: its SHA-256 differs"


def test_a_file_that_was_changed_together_with_its_digest(tmp_path: Path, in_use: Path) -> None:
    bundle = a_bundle(tmp_path / "next", OLD, takes={"maker": OLD})
    before = digest(bundle / INSTALLER)
    (bundle / INSTALLER).write_text("rm -rf /\n")
    (bundle / SUMS).write_text((bundle / SUMS).read_text().replace(before, digest(bundle / INSTALLER)))
    assert refused(bundle, in_use) == f"is not what maker signed: the signature does not fit its {SUMS}"


def test_the_signature_of_another_bundle(tmp_path: Path, in_use: Path) -> None:
    genuine = a_bundle(tmp_path / "genuine", OLD, takes={"maker": OLD})
    bundle = a_bundle(tmp_path / "next", takes={})
    (genuine / SIGNATURES).rename(bundle / SIGNATURES)
    assert "is not what maker signed" in refused(bundle, in_use)


@pytest.mark.parametrize("place", ["wheels/pip-99-py3-none-any.whl", "install.sh.orig"])
def test_a_file_beside_what_is_listed(tmp_path: Path, in_use: Path, place: str) -> None:
    bundle = a_bundle(tmp_path / "next", OLD, takes={"maker": OLD})
    (bundle / place).parent.mkdir(exist_ok=True)
    (bundle / place).write_text("what nobody signed")
    assert refused(bundle, in_use) == f"{place} is not in {SUMS}"


def test_a_link_instead_of_a_file(tmp_path: Path, in_use: Path) -> None:
    """It may lead somewhere else by the time that it is run."""
    bundle = a_bundle(tmp_path / "next", OLD, takes={"maker": OLD})
    (bundle / INSTALLER).rename(tmp_path / "elsewhere")
    (bundle / INSTALLER).symlink_to(tmp_path / "elsewhere")
    assert refused(bundle, in_use) == f"{INSTALLER} is a link, which no bundle has"


def test_a_new_key_comes_by_a_bundle_that_the_old_one_signed(tmp_path: Path, in_use: Path) -> None:
    last = a_bundle(tmp_path / "last", NEW, takes={"maker-2027": NEW})
    assert refused(last, in_use) != "", "not at once"
    between = a_bundle(tmp_path / "between", OLD, takes={"maker": OLD, "maker-2027": NEW})
    assert refused(between, in_use) == ""
    assert refused(last, between) == ""
    assert refused(between, last) != "", "and the old key is worth nothing any more"


def test_of_two_signatures_one_is_enough(tmp_path: Path, in_use: Path) -> None:
    assert refused(a_bundle(tmp_path / "next", NEW, OLD, takes={"maker-2027": NEW}), in_use) == ""


def test_a_release_that_asks_for_none(tmp_path: Path) -> None:
    """As every one was before bundles were signed."""
    plain = a_bundle(tmp_path / "plain", takes={})
    assert makers_of(plain) is None
    assert refused(a_bundle(tmp_path / "next", FOREIGN, takes={}), plain) == ""


@pytest.mark.parametrize("spoiled", ["", "what is this\n", "ed25519 %%% maker\n"])
def test_a_list_of_makers_that_says_nothing_takes_nobody(tmp_path: Path, spoiled: str, in_use: Path) -> None:
    (in_use / MAKERS).write_text(spoiled)
    assert "takes what nobody signed" in refused(a_bundle(tmp_path / "next", OLD, takes={}), in_use)


@pytest.mark.parametrize("spoiled", [b"", b"\xff", b"ed25519\n", b"ed25519 AAAA\n", b"ed448 AAAA BBBB\n"])
def test_a_signature_that_is_none(tmp_path: Path, spoiled: bytes, in_use: Path) -> None:
    bundle = a_bundle(tmp_path / "next", OLD, takes={})
    (bundle / SIGNATURES).write_bytes(spoiled)
    assert "signed" in refused(bundle, in_use)


def test_the_signature_is_cut_short(tmp_path: Path, in_use: Path) -> None:
    bundle = a_bundle(tmp_path / "next", OLD, takes={})
    (bundle / SIGNATURES).write_text((bundle / SIGNATURES).read_text()[:-9] + "\n")
    assert "is not what maker signed" in refused(bundle, in_use)


def test_a_key_is_named_by_either_half_of_it() -> None:
    public = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32).public_key()
    info = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public_of(info) == public_of(OLD) == public.public_bytes_raw()


def test_a_key_behind_a_passphrase_is_refused_with_a_word() -> None:
    locked = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"1234")
    )
    with pytest.raises(ValueError, match="behind a passphrase"):
        public_of(locked)


def test_another_kind_of_key_is_refused() -> None:
    with pytest.raises(ValueError, match="no Ed25519 key"):
        public_of(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
