"""Charge items: a row of the price list. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_node.his.catalogues.columns import Column, code, fen, one_of, words


class PriceKind(StrEnum):
    """What is paid for; the kinds by which a bill and a report are sorted."""

    REGISTRATION = "registration"
    EXAMINATION = "examination"
    TREATMENT = "treatment"
    INJECTION = "injection"
    SKIN_TEST = "skin_test"
    LABORATORY = "laboratory"
    MATERIAL = "material"
    OTHER = "other"


_KINDS = {
    "挂号": PriceKind.REGISTRATION,
    "检查": PriceKind.EXAMINATION,
    "治疗": PriceKind.TREATMENT,
    "注射": PriceKind.INJECTION,
    "皮试": PriceKind.SKIN_TEST,
    "检验": PriceKind.LABORATORY,
    "材料": PriceKind.MATERIAL,
    "其他": PriceKind.OTHER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceItem:
    """One thing that is charged; `price_fen` for one `unit`. `id` is empty until it is kept."""

    code: str
    name: str
    unit: str
    price_fen: int
    kind: PriceKind
    insurance_code: str = ""
    id: str = ""


COLUMNS = (
    Column(key="code", zh="编码", en="code", read=code, required=True),
    Column(key="name", zh="名称", en="name", read=words, required=True),
    Column(key="unit", zh="单位", en="unit", read=words, required=True),
    Column(key="price_fen", zh="单价", en="price", read=fen, required=True),
    Column(key="kind", zh="类别", en="kind", read=one_of(_KINDS), required=True),
    Column(key="insurance_code", zh="医保编码", en="insurance code", read=code, default=""),
)
