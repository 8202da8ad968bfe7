"""Keys by which a name is found from a keyboard: initials (syq) and full spelling (shanyaqin), in every reading. Pure.

A dictionary alone misreads surnames (单 as dan, 曾 as ceng). So every reading of every character is a key, and a table
of surnames adds what the dictionary lacks and puts the surname's own reading first. One wrong extra key costs a row; a
missing one costs a patient who "is not in the system" and gets a second record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from pypinyin import Style, pinyin

# A name of n characters with two readings each has 2**n keys of each kind; beyond this many the unlikely are left out.
KEYS_CAP = 64

# How these characters are read when they are a surname, the usual reading first, where the dictionary thinks otherwise;
# and the surnames of two characters. Written for this program.
SURNAMES: Mapping[str, tuple[str, ...]] = {
    "曾": ("zeng",), "单": ("shan",), "解": ("xie",), "仇": ("qiu",), "区": ("ou",), "查": ("zha",),
    "翟": ("zhai", "di"), "覃": ("qin", "tan"), "乐": ("yue", "le"), "缪": ("miao",), "员": ("yun",), "折": ("she",),
    "种": ("chong",), "繁": ("po",), "盖": ("ge", "gai"), "朴": ("piao", "pu"), "召": ("shao", "zhao"),
    "卜": ("bu",), "秘": ("bi",), "隗": ("wei", "kui"), "都": ("du",), "费": ("fei", "bi"), "洗": ("xian",),
    "祭": ("zhai",), "黑": ("he", "hei"), "佴": ("nai",), "郇": ("xun", "huan"), "谌": ("chen", "shen"),
    "贠": ("yun",), "长": ("chang", "zhang"), "阚": ("kan",), "牟": ("mu", "mou"), "乜": ("nie",), "句": ("gou",),
    "薄": ("bo",), "莘": ("shen", "xin"), "吕": ("lv", "lu"), "𠮷": ("ji",),
    "万俟": ("mo qi",), "尉迟": ("yu chi",), "长孙": ("zhang sun",), "澹台": ("tan tai",), "宰父": ("zai fu",),
    "皇甫": ("huang fu",), "夏侯": ("xia hou",), "令狐": ("ling hu",), "单于": ("chan yu",), "呼延": ("hu yan",),
    "鲜于": ("xian yu",), "濮阳": ("pu yang",), "淳于": ("chun yu",), "公孙": ("gong sun",), "轩辕": ("xuan yuan",),
    "钟离": ("zhong li",), "宇文": ("yu wen",), "慕容": ("mu rong",), "司徒": ("si tu",), "亓官": ("qi guan",),
    "赫连": ("he lian",), "独孤": ("du gu",), "第五": ("di wu",), "欧阳": ("ou yang",), "申屠": ("shen tu",),
    "诸葛": ("zhu ge",), "司马": ("si ma",), "上官": ("shang guan",), "东方": ("dong fang",), "端木": ("duan mu",),
    "南宫": ("nan gong",), "百里": ("bai li",), "东郭": ("dong guo",), "西门": ("xi men",), "拓跋": ("tuo ba",),
    "闻人": ("wen ren",), "太史": ("tai shi",), "司空": ("si kong",), "公冶": ("gong ye",), "仲孙": ("zhong sun",),
}  # fmt: skip

_PARTS = re.compile(r"[A-Za-z']+|[^\WA-Za-z\d_']")
_LATIN = re.compile(r"[A-Za-z']+")
_SEPARATORS = re.compile(r"[\s·•・．.,，\-]+")


def keys(name: str) -> frozenset[str]:
    """Initials and full spellings of a name in all likely readings, lower case, ü as v.

    A name of several parts (古丽娜尔·买买提, Maria Garcia) is also found from the beginning of each of its parts.
    """
    parts = [_units(part, first=n == 0) for n, part in enumerate(_parts(name))]
    found: set[str] = set()
    for start in range(len(parts)):
        units = [unit for part in parts[start:] for unit in part]
        found.update(_spellings([[reading[0] for reading in unit] for unit in units]))
        found.update(_spellings(units))
    return frozenset(found - {""})


def query_key(typed: str) -> str:
    """What was typed, in the form of a key: "Shan Ya-qin" and "lü" become "shanyaqin" and "lv"."""
    return re.sub(r"[^a-z]", "", typed.lower().replace("ü", "v"))


def is_likely(name: str, key: str) -> bool:
    """Does a key begin the name as it is usually read? (王 is also read yu, but nobody means that.)"""
    units = [unit for n, part in enumerate(_parts(name)) for unit in _units(part, first=n == 0)]
    return "".join(unit[0] for unit in units).startswith(key) or "".join(unit[0][0] for unit in units).startswith(key)


def display(name: str) -> str:
    """The likeliest spelling of a Chinese name for the eye: "Shan Yaqin"; empty when there is nothing to spell."""
    if not name or _LATIN.search(name):
        return ""
    words = []
    parts = _parts(name)
    for n, part in enumerate(parts):
        syllables = [unit[0].replace("v", "ü") for unit in _units(part, first=n == 0)]
        cut = len(_surname(part)) if len(parts) == 1 else 0
        words += ["".join(syllables[:cut]), "".join(syllables[cut:])]
    return " ".join(word.capitalize() for word in words if word)


def _parts(name: str) -> list[str]:
    return [part for part in _SEPARATORS.split(name) if part]


def _units(part: str, *, first: bool) -> list[Sequence[str]]:
    """The readings of each character (or Latin word) of a part, likeliest first."""
    surname = _surname(part) if first else ""
    override = [reading.split() for reading in SURNAMES.get(surname, ())]
    units: list[Sequence[str]] = []
    for n, piece in enumerate(_PARTS.findall(part)):
        if _LATIN.fullmatch(piece):
            units.append([piece.lower().replace("'", "")])
            continue
        own = [reading[n] for reading in override if n < len(reading)] if n < len(surname) else []
        units.append(_unique([*own, *_readings(piece)]))
    return [unit for unit in units if unit and unit[0]]


def _surname(part: str) -> str:
    return part[:2] if len(part) > 2 and part[:2] in SURNAMES else part[:1]


@cache
def _readings(character: str) -> tuple[str, ...]:
    """All readings that the dictionary knows, tones left out; empty for what is not a Chinese character."""
    found = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    readings = [reading for reading in (found[0] if found else []) if reading.isascii() and reading.isalpha()]
    # Passports write 吕 as LYU and keyboards as lv.
    return tuple(readings) + tuple(reading.replace("v", "yu") for reading in readings if "v" in reading)


def _unique(readings: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(readings))


def _spellings(units: Sequence[Sequence[str]]) -> list[str]:
    """Every combination of one reading each, the likeliest KEYS_CAP of them: the fewer rare readings, the likelier."""
    spellings: dict[str, int] = {"": 0}
    for unit in units:
        longer: dict[str, int] = {}
        for spelling, rarity in spellings.items():
            for rank, reading in enumerate(_unique(unit)):
                key = spelling + reading
                longer[key] = min(longer.get(key, rarity + rank), rarity + rank)
        spellings = dict(sorted(longer.items(), key=lambda item: item[1])[:KEYS_CAP])
    return list(spellings)
