"""SQL of the catalogues: kept row by row under their codes, found by what is typed.

An import adds and changes; it never deletes. What is no longer offered is switched off, for signed sheets speak of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from ulid import ULID

from edge_node.his.catalogues.drugs import CatalogueDrug
from edge_node.his.catalogues.icd import IcdEntry
from edge_node.his.catalogues.initials import initials
from edge_node.his.catalogues.prices import PriceItem, PriceKind
from edge_node.his.prescriptions.model import Antibacterial, Control, Drug, Pregnancy, Release
from edge_node.store.connection import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an import did: rows added, rows changed, rows that were so already."""

    added: int
    changed: int
    same: int


def keep_drugs(conn: Connection, drugs: Iterable[CatalogueDrug], *, at: int) -> Kept:
    """Add or change drugs under their codes; in the caller's transaction."""
    return _keep(conn, "drug", [_drug_row(drug) for drug in drugs], at=at)


def keep_prices(conn: Connection, items: Iterable[PriceItem], *, at: int) -> Kept:
    """Add or change charge items under their codes; in the caller's transaction."""
    rows = [
        {**{key: value for key, value in asdict(item).items() if key != "id"}, "initials": initials(item.name)}
        for item in items
    ]
    return _keep(conn, "price_item", rows, at=at)


def keep_icd(conn: Connection, entries: Iterable[IcdEntry]) -> Kept:
    """Add or change diagnoses under their codes; in the caller's transaction."""
    rows = [{**asdict(entry), "initials": initials(entry.name)} for entry in entries]
    return _keep(conn, "icd", rows, at=None)


def _keep(conn: Connection, table: str, rows: list[dict[str, Any]], *, at: int | None) -> Kept:
    """Rows under their codes. `at` None: the code is the key, and nobody asks when a row changed."""
    added = changed = 0
    for row in rows:
        known = conn.execute(f"SELECT * FROM {table} WHERE code = :code", {"code": row["code"]}).fetchone()
        if known is None:
            extra = {} if at is None else {"id": str(ULID()), "updated_at": at}
            names = [*row, *extra]
            conn.execute(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})",
                {**row, **extra},
            )
            added += 1
        elif not known["active"] or any(known[name] != value for name, value in row.items()):
            extra = {} if at is None else {"updated_at": at}
            sets = ", ".join(f"{name} = :{name}" for name in (*row, *extra) if name != "code")
            conn.execute(f"UPDATE {table} SET active = 1, {sets} WHERE code = :code", {**row, **extra})
            changed += 1
    return Kept(added=added, changed=changed, same=len(rows) - added - changed)


def _drug_row(entry: CatalogueDrug) -> dict[str, Any]:
    drug = entry.drug
    return {
        "code": drug.code,
        "name": drug.name,
        "spec": entry.spec,
        "initials": initials(drug.name),
        "herbal": int(drug.herbal),
        "unit": drug.unit,
        "pack": str(drug.pack),
        "pack_unit": entry.pack_unit,
        "price_fen": entry.price_fen,
        "ingredients": json.dumps({name: str(mg) for name, mg in drug.ingredients.items()}, ensure_ascii=False),
        "groups": json.dumps(drug.groups, ensure_ascii=False),
        "routes": json.dumps(drug.routes),
        "control": drug.control,
        "release": drug.release,
        "antibacterial": drug.antibacterial,
        "skin_test": int(drug.skin_test),
        "on_site_only": int(drug.on_site_only),
        "long_for": drug.long_for,
        "max_single": _text(drug.max_single),
        "max_daily": _text(drug.max_daily),
        "max_daily_per_kg": _text(drug.max_daily_per_kg),
        "min_age_months": drug.min_age_months,
        "forbidden_below_months": drug.forbidden_below_months,
        "pregnancy": drug.pregnancy,
        "usual_dose": _text(entry.usual_dose) or "",
        "usual_route": entry.usual_route,
        "usual_frequency": entry.usual_frequency,
        "usual_days": entry.usual_days,
        "insurance_code": entry.insurance_code,
        "approval_no": entry.approval_no,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _amount(stored: str | None) -> Decimal | None:
    return Decimal(stored) if stored else None


def _drug(row: Row) -> CatalogueDrug:
    return CatalogueDrug(
        id=row["id"],
        drug=Drug(
            code=row["code"],
            name=row["name"],
            unit=row["unit"],
            pack=Decimal(row["pack"]),
            ingredients={name: Decimal(mg) for name, mg in json.loads(row["ingredients"]).items()},
            groups=tuple(json.loads(row["groups"])),
            routes=tuple(json.loads(row["routes"])),
            herbal=bool(row["herbal"]),
            control=Control(row["control"]),
            release=Release(row["release"]),
            antibacterial=Antibacterial(row["antibacterial"]),
            skin_test=bool(row["skin_test"]),
            on_site_only=bool(row["on_site_only"]),
            long_for=row["long_for"],
            max_single=_amount(row["max_single"]),
            max_daily=_amount(row["max_daily"]),
            max_daily_per_kg=_amount(row["max_daily_per_kg"]),
            min_age_months=row["min_age_months"],
            forbidden_below_months=row["forbidden_below_months"],
            pregnancy=Pregnancy(row["pregnancy"]),
        ),
        spec=row["spec"],
        pack_unit=row["pack_unit"],
        price_fen=row["price_fen"],
        usual_dose=_amount(row["usual_dose"]),
        usual_route=row["usual_route"],
        usual_frequency=row["usual_frequency"],
        usual_days=row["usual_days"],
        insurance_code=row["insurance_code"],
        approval_no=row["approval_no"],
    )


def drug(conn: Connection, drug_id: str) -> CatalogueDrug | None:
    """One drug by its id, the ones switched off too."""
    row = conn.execute("SELECT * FROM drug WHERE id = :id", {"id": drug_id}).fetchone()
    return _drug(row) if row else None


def all_drugs(conn: Connection) -> list[CatalogueDrug]:
    """The whole catalogue, by code; for finding the groups of an allergy."""
    return [_drug(row) for row in conn.execute("SELECT * FROM drug ORDER BY code")]


# The closest first: code, initials, beginning of the name, beginning of the initials, inside.
_CLOSENESS = """
CASE WHEN lower(code) = :t OR name = :t THEN 0
     WHEN initials = :t THEN 1
     WHEN substr(name, 1, length(:t)) = :t THEN 2
     WHEN substr(initials, 1, length(:t)) = :t THEN 3
     WHEN instr(name, :t) THEN 4
     WHEN length(:t) > 1 AND instr(initials, :t) THEN 5
END
"""


def find_drugs(conn: Connection, typed: str, *, herbal: bool, limit: int = 9) -> list[CatalogueDrug]:
    """Drugs of a form by code, name, a part of it, or initials; only those that are offered."""
    wanted = typed.strip().lower()
    if not wanted:
        return []
    rows = conn.execute(
        f"SELECT *, {_CLOSENESS} AS closeness FROM drug WHERE active = 1 AND herbal = :herbal "
        "AND closeness IS NOT NULL ORDER BY closeness, length(name), code LIMIT :limit",
        {"t": wanted, "herbal": int(herbal), "limit": limit},
    )
    return [_drug(row) for row in rows]


def find_prices(
    conn: Connection, typed: str, *, kinds: Iterable[PriceKind] | None = None, limit: int = 9
) -> list[PriceItem]:
    """Charge items by code, name or initials, of these kinds or of all; only those that are offered."""
    wanted = typed.strip().lower()
    if not wanted:
        return []
    chosen = tuple(PriceKind if kinds is None else kinds)
    marks = ", ".join(f":kind{n}" for n in range(len(chosen)))
    rows = conn.execute(
        f"SELECT *, {_CLOSENESS} AS closeness FROM price_item WHERE active = 1 AND kind IN ({marks}) "
        "AND closeness IS NOT NULL ORDER BY closeness, length(name), code LIMIT :limit",
        {"t": wanted, "limit": limit, **{f"kind{n}": kind for n, kind in enumerate(chosen)}},
    )
    return [_price(row) for row in rows]


def price(conn: Connection, item_id: str) -> PriceItem | None:
    """One charge item by its id."""
    row = conn.execute("SELECT * FROM price_item WHERE id = :id", {"id": item_id}).fetchone()
    return _price(row) if row else None


def _price(row: Row) -> PriceItem:
    return PriceItem(
        id=row["id"],
        code=row["code"],
        name=row["name"],
        unit=row["unit"],
        price_fen=row["price_fen"],
        kind=PriceKind(row["kind"]),
        insurance_code=row["insurance_code"],
    )


def counts(conn: Connection) -> Mapping[str, int]:
    """How many of each catalogue are offered."""
    return {
        table: int(conn.execute(f"SELECT count(*) FROM {table} WHERE active = 1").fetchone()[0])
        for table in ("drug", "price_item", "icd", "staff")
    }
