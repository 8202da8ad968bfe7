"""What `replica verify` says of what it found."""

from __future__ import annotations

from collections.abc import Sequence

from edge_node.base.clock import utc_text
from edge_node.base.errors import Problem, ReplicaError
from edge_node.base.units import counted, spoken_size
from edge_node.cli.output import answer
from edge_node.cli.replica_source import Wish
from edge_node.replication.verify import Verified


def tell(found: Verified) -> None:
    """One copy: how far a restore reaches, and what was mended; what was not is the error's."""
    newest = utc_text(found.newest_at_ms) if found.newest_at_ms is not None else "-"
    answer(
        f"{found.source}: {counted(found.files, 'file')}; a restore takes {found.chain}, "
        f"{spoken_size(found.size_bytes)}, "
        f"and reaches TXID {found.txid}, {newest}; {found.looked_into} opened"
    )
    for finding in found.findings:
        if finding.mended is not None:
            answer(f"  {finding.where}: {finding.sentence()}")
    if not found.is_sound:
        answer("NOT SOUND")


def unsound(found: Sequence[tuple[Wish, Verified]], *, dry_run: bool) -> list[ReplicaError]:
    """The error that names what stays wrong; none where nothing does."""
    wrong = [(wish, looked, one) for wish, looked in found for one in looked.findings if one.mended is None]
    if not wrong:
        return []
    mendable = dict.fromkeys(wish.origin for wish, _, one in wrong if one.is_here and "://" not in wish.origin)
    hint = "restores go around what is damaged; what is not here any more is passed by with the next snapshot"
    if dry_run and mendable:
        names = " ".join(f"--from {name}" for name in mendable)
        hint = f"edge-node replica verify {names} ships again what the local replica still has"
    error = ReplicaError(
        "replica-unsound",
        f"{counted(len(wrong), 'problem')} in {', '.join(dict.fromkeys(looked.source for _, looked, _ in wrong))}",
        context=None,
        hint=hint,
        problems=[Problem(path=f"{wish.origin} {one.where}", text=one.sentence()) for wish, _, one in wrong],
    )
    return [error]
