"""`replica identity`: the node's own identity, with which it opens its copies to drill, verify and come back."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pyrage

from edge_node.base.errors import ConfigError, ReplicaError, UsageError
from edge_node.base.files import atomic_write
from edge_node.base.logs import event
from edge_node.base.systemd import credential_path
from edge_node.cli.main import Where, run_as_owner, where_options
from edge_node.cli.output import answer
from edge_node.config.load import parse
from edge_node.config.schema import Config
from edge_node.replication.sealing import Identity, read_identities

NAME = "node-identity"
_RECIPIENTS = re.compile(r"^(\s*encrypt_to\s*=\s*\[)", re.MULTILINE)


@click.command("identity")
@click.option("--new", is_flag=True, help="Make a new one, and encrypt to it from the replicator's next start on.")
@click.option("--dry-run", is_flag=True, help="Say what would be changed.")
@click.option("--reason", default="", help="For the record.")
@where_options
@click.pass_obj
def replica_identity(where: Where, new: bool, dry_run: bool, reason: str) -> None:
    """Whether this node can open its own copies; with --new, exchange its identity."""
    config = where.load()
    run_as_owner(config)
    path = credential_path(NAME, state_dir=config.node.state_dir)
    present = read_identities(path) if path.exists() else ()
    if not new:
        _tell(config, path, present)
        return
    if config.replica.plain:
        raise UsageError(
            "usage",
            "the copies are not encrypted: an identity would open nothing",
            context="replica.plain is true",
            hint=None,
        )
    made = Identity.generate()
    text = where.path().read_text(encoding="utf-8")
    changed = with_recipient(text, str(made.to_public()), instead_of=[str(one.to_public()) for one in present])
    # Whatever is wrong with it shows before anything is written.
    parse(changed, source=str(where.path()), home=where.home.resolve() if where.home and not where.config else None)
    if dry_run:
        answer(f"would write a new identity to {path}, and its recipient to {where.path()}")
        return
    _write(config, where.path(), changed, (made, *present))
    event("node_identity_made", recipient=str(made.to_public()), kept=len(present), why=reason)
    answer(f"new identity in {config.node.state_dir / 'credentials' / NAME}; recipient {made.to_public()}")
    answer("restart the replicator: it then encrypts to the new one, and no longer to the one before")
    answer("objects from before open with the recovery identity, and with the old one, which stays in the file")


def _tell(config: Config, path: Path, present: tuple[Identity, ...]) -> None:
    if not present:
        raise ReplicaError(
            "identity-missing",
            f"this node has no identity: {path} does not exist",
            context="drills and looks cannot open what is encrypted, and a lost database comes back from here only",
            hint="edge-node replica identity --new",
        )
    recipient = str(present[0].to_public())
    known = "copies are encrypted to it" if recipient in config.replica.encrypt_to else "NOT among replica.encrypt_to"
    answer(f"{recipient}: {known}")
    if len(present) > 1:
        answer(f"and {len(present) - 1} from before, for older objects")


def with_recipient(text: str, recipient: str, *, instead_of: list[str]) -> str:
    """The configuration with a recipient in place of the first of `instead_of` that is there, else as one more. Pure.

    Raises ConfigError where the list of recipients is not found.
    """
    for old in instead_of:
        if old in text:
            return text.replace(old, recipient)
    if not _RECIPIENTS.search(text):
        raise ConfigError(
            "config-invalid",
            "replica.encrypt_to was not found in the configuration",
            context=None,
            hint=f'add the recipient by hand: "{recipient}"',
        )
    return _RECIPIENTS.sub(lambda match: f'{match[1]}"{recipient}", ', text, count=1)


def _write(config: Config, config_path: Path, text: str, identities: tuple[pyrage.x25519.Identity, ...]) -> None:
    """The identities first: should the second write fail, what is sealed as before still opens."""
    credential = config.node.state_dir / "credentials" / NAME
    try:
        atomic_write(credential, "".join(f"{one}\n" for one in identities).encode(), mode=0o600)
        atomic_write(config_path, text.encode(), mode=config_path.stat().st_mode & 0o777)
    except OSError as error:
        raise ConfigError(
            "config-unwritable",
            f"{error.filename or config_path} cannot be written",
            context=error.strerror,
            hint=f'add the new recipient to replica.encrypt_to by hand, with sudo: "{identities[0].to_public()}"',
        ) from error
