"""Fingerprints of migrations: one that has been released is never edited, since databases have run it as it was.

    python -m tests.support.fingerprints

adds what is new to the list beside the test. To change an entry, while its migration has not left the workshop, remove
it from the list by hand first.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from pathlib import Path

from sqlite_utils import Database, Migrations

from edge_node.store.databases import DATABASES

LIST = Path(__file__).parents[1] / "unit" / "store" / "migrations.json"


def fingerprints(migrations: Migrations) -> dict[str, str]:
    """SHA-256 of each migration's source, and of the texts (its SQL) that it takes from its module."""
    found = {}
    db = Database(memory=True, execute_plugins=False, recursive_triggers=False)
    for migration in migrations.pending(db):
        function = inspect.unwrap(migration.fn)
        module = vars(sys.modules[function.__module__])
        texts = [module[name] for name in function.__code__.co_names if isinstance(module.get(name), str)]
        whole = "\0".join([inspect.getsource(function), *texts])
        found[migration.name] = hashlib.sha256(whole.encode()).hexdigest()
    db.close()
    return found


def current() -> dict[str, dict[str, str]]:
    """Of every database."""
    return {name: fingerprints(migrations) for name, migrations in DATABASES.items()}


def recorded() -> dict[str, dict[str, str]]:
    """As the list has them."""
    return dict(json.loads(LIST.read_text(encoding="utf-8"))) if LIST.exists() else {}


def main() -> None:
    have = recorded()
    merged = {name: found | have.get(name, {}) for name, found in current().items()}
    LIST.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
