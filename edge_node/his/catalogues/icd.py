"""Diagnoses with their two codes, and diseases and syndromes of Chinese medicine. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_node.his.catalogues.columns import Column, code, one_of, words


class DiagnosisKind(StrEnum):
    """ICD-10 in its clinical edition; diseases and syndromes of GB/T 15657."""

    DISEASE = "disease"
    TCM_DISEASE = "tcm_disease"
    TCM_SYNDROME = "tcm_syndrome"


_KINDS = {
    "西医": DiagnosisKind.DISEASE,
    "中医病名": DiagnosisKind.TCM_DISEASE,
    "中医证候": DiagnosisKind.TCM_SYNDROME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IcdEntry:
    """A row of the catalogue: clinical code, name, and the insurance's code where it has one."""

    code: str
    name: str
    name_en: str = ""
    insurance_code: str = ""
    kind: DiagnosisKind = DiagnosisKind.DISEASE


COLUMNS = (
    Column(key="code", zh="编码", en="code", read=code, required=True),
    Column(key="name", zh="名称", en="name", read=words, required=True),
    Column(key="name_en", zh="英文名", en="english name", read=words, default=""),
    Column(key="insurance_code", zh="医保编码", en="insurance code", read=code, default=""),
    Column(key="kind", zh="类别", en="kind", read=one_of(_KINDS), default=DiagnosisKind.DISEASE),
)
