"""The destinations of the configuration, made ready to be used."""

from __future__ import annotations

from pathlib import Path

from edge_node.base.systemd import credential_path
from edge_node.config.schema import Destination as Wanted
from edge_node.replication.destination import Destination
from edge_node.replication.s3_access import S3Access
from edge_node.replication.sealing import Sealer


def configured(wanted: Wanted, sealer: Sealer, *, state_dir: Path, credential: Path | None = None) -> Destination:
    """A destination as `[[replica.destination]]` describes it. Raises ReplicaError replica-refused.

    `credential` is a key that a person names in place of the node's own.
    """
    is_nodes_own = credential is None
    if is_nodes_own and wanted.credential is not None:
        credential = credential_path(wanted.credential, state_dir=state_dir)
    return Destination(
        wanted.name,
        wanted.url,
        sealer,
        s3=S3Access(
            endpoint=wanted.endpoint,
            addresses=tuple(str(address) for address in wanted.addresses),
            region=wanted.region,
            credential=credential,
            is_nodes_own=is_nodes_own,
        ),
        bandwidth_bits=wanted.bandwidth_bits,
    )
