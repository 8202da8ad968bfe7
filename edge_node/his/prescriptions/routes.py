"""The ways by which a drug is given: their codes and words."""

from __future__ import annotations

from collections.abc import Mapping

from edge_node.i18n import Text, text

ROUTES: Mapping[str, Text] = {
    "oral": text("oral"),
    "sublingual": text("under the tongue"),
    "decocted": text("decocted"),
    "iv-drip": text("drip"),
    "iv": text("into a vein"),
    "im": text("into a muscle"),
    "sc": text("under the skin"),
    "id": text("into the skin"),
    "local": text("local anaesthesia"),
    "inhaled": text("inhaled"),
    "nasal": text("into the nose"),
    "eye": text("into the eye"),
    "ear": text("into the ear"),
    "external": text("on the skin"),
    "rectal": text("into the rectum"),
    "vaginal": text("into the vagina"),
}

# As catalogues write them.
ROUTES_BY_WORD: Mapping[str, str] = {
    "口服": "oral",
    "舌下": "sublingual",
    "水煎服": "decocted",
    "静脉滴注": "iv-drip",
    "静脉注射": "iv",
    "肌内注射": "im",
    "皮下注射": "sc",
    "皮内注射": "id",
    "局部麻醉": "local",
    "雾化吸入": "inhaled",
    "鼻用": "nasal",
    "眼用": "eye",
    "耳用": "ear",
    "外用": "external",
    "直肠": "rectal",
    "阴道": "vaginal",
    **{code: code for code in ROUTES},
}
