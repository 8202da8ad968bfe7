"""Drugs: a row of the catalogue to what the rules of prescriptions ask for, and what a doctor's page fills in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from edge_node.his.catalogues.columns import (
    Column,
    Unreadable,
    amount,
    code,
    fen,
    one_of,
    some_of,
    whole,
    words,
    yes,
)
from edge_node.his.prescriptions.frequency import FREQUENCIES
from edge_node.his.prescriptions.model import Antibacterial, Control, Drug, Pregnancy, Release
from edge_node.his.prescriptions.routes import ROUTES_BY_WORD
from edge_node.i18n import text

# Prepared Chinese medicines go on a sheet with Western ones; only herbs have their own.
_HERBAL = {"西药": False, "中成药": False, "饮片": True, "western": False, "prepared": False, "herb": True}
_CONTROL = {
    "毒性": Control.TOXIC,
    "精二": Control.PSYCHOTROPIC_2,
    "精一": Control.PSYCHOTROPIC_1,
    "麻醉": Control.NARCOTIC,
}
_RELEASE = {"普通": Release.ORDINARY, "缓控释": Release.SUSTAINED, "注射剂": Release.INJECTION}
_ANTIBACTERIAL = {
    "非限制": Antibacterial.FREE,
    "限制": Antibacterial.RESTRICTED,
    "特殊": Antibacterial.SPECIAL,
}
_PREGNANCY = {"慎用": Pregnancy.CARE, "禁用": Pregnancy.FORBIDDEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueDrug:
    """A drug with its price, and what a doctor usually writes. `id` is empty until it is kept."""

    drug: Drug
    spec: str
    pack_unit: str
    price_fen: int
    usual_dose: Decimal | None = None
    usual_route: str = ""
    usual_frequency: str = ""
    usual_days: int | None = None
    insurance_code: str = ""
    approval_no: str = ""
    id: str = ""


def ingredients(cell: str) -> Mapping[str, Decimal]:
    """`阿莫西林 400；克拉维酸 57`: names with milligrams in one dose unit."""
    found: dict[str, Decimal] = {}
    for part in some_of()(cell):
        name, _, mg = part.rpartition(" ")
        if not name.strip() or name.strip() in found:
            raise Unreadable(
                text("names with milligrams in one dose unit, such as %(example)s", example="阿莫西林 1000")
            )
        found[name.strip()] = amount(mg)
    return found


def _frequency(cell: str) -> str:
    if cell.lower() not in FREQUENCIES:
        raise Unreadable(text("one of: %(choices)s", choices="、".join(FREQUENCIES)))
    return cell.lower()


COLUMNS = (
    Column(key="code", zh="编码", en="code", read=code, required=True),
    Column(key="name", zh="名称", en="name", read=words, required=True),
    Column(key="spec", zh="规格", en="spec", read=words, default=""),
    Column(key="herbal", zh="类型", en="type", read=one_of(_HERBAL), required=True),
    Column(key="unit", zh="剂量单位", en="dose unit", read=words, required=True),
    Column(key="pack", zh="每包装剂量", en="dose units per pack", read=amount, required=True),
    Column(key="pack_unit", zh="包装单位", en="pack unit", read=words, required=True),
    Column(key="price_fen", zh="单价", en="price", read=fen, required=True),
    Column(key="ingredients", zh="成分", en="ingredients", read=ingredients, required=True),
    Column(key="groups", zh="成分组", en="groups", read=some_of(), default=()),
    Column(key="routes", zh="途径", en="routes", read=some_of(ROUTES_BY_WORD), default=()),
    Column(key="control", zh="管制", en="control", read=one_of(_CONTROL), default=Control.NONE),
    Column(key="release", zh="剂型", en="release", read=one_of(_RELEASE), default=Release.ORDINARY),
    Column(
        key="antibacterial", zh="抗菌药物", en="antibacterial", read=one_of(_ANTIBACTERIAL), default=Antibacterial.NONE
    ),
    Column(key="skin_test", zh="皮试", en="skin test", read=yes, default=False),
    Column(key="on_site_only", zh="仅院内使用", en="on site only", read=yes, default=False),
    Column(key="long_for", zh="可长期用于", en="long for", read=code, default=""),
    Column(key="max_single", zh="单次最大", en="most at once", read=amount),
    Column(key="max_daily", zh="每日最大", en="most a day", read=amount),
    Column(key="max_daily_per_kg", zh="每公斤每日最大", en="most a day per kg", read=amount),
    Column(key="min_age_months", zh="说明书最小月龄", en="least age in months", read=whole),
    Column(key="forbidden_below_months", zh="此月龄以下禁用", en="forbidden below months", read=whole),
    Column(key="pregnancy", zh="孕妇", en="pregnancy", read=one_of(_PREGNANCY), default=Pregnancy.NOTHING),
    Column(key="usual_dose", zh="常用量", en="usual dose", read=amount),
    Column(key="usual_route", zh="常用途径", en="usual route", read=one_of(ROUTES_BY_WORD), default=""),
    Column(key="usual_frequency", zh="常用频次", en="usual frequency", read=_frequency, default=""),
    Column(key="usual_days", zh="常用天数", en="usual days", read=whole),
    Column(key="insurance_code", zh="医保编码", en="insurance code", read=code, default=""),
    Column(key="approval_no", zh="批准文号", en="approval number", read=words, default=""),
)

_OF_DRUG = frozenset(Drug.__dataclass_fields__)


def from_row(values: Mapping[str, Any]) -> CatalogueDrug:
    """A row that was read, as a drug."""
    return CatalogueDrug(
        drug=Drug(**{key: value for key, value in values.items() if key in _OF_DRUG}),
        **{key: value for key, value in values.items() if key not in _OF_DRUG},
    )
