"""Names found from a keyboard: the difficult surnames above all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_node.his.patients.pinyin import KEYS_CAP, SURNAMES, display, is_likely, keys, query_key

# A name, how its bearer spells it, and the initials under which a registrar looks.
DIFFICULT = """
单雅琴 shanyaqin syq|曾国强 zengguoqiang zgq|解语桐 xieyutong xyt|仇亦凡 qiuyifan qyf|区志明 ouzhiming ozm
查良镛 zhaliangyong zly|翟志刚 zhaizhigang zzg|覃𬭎 qinhong qh|覃海洋 tanhaiyang thy|乐嘉 yuejia yj
缪荃孙 miaoquansun mqs|员晓峰 yunxiaofeng yxf|折可适 shekeshi sks|种师道 chongshidao csd|繁钦 poqin pq
盖叫天 gejiaotian gjt|朴正熙 piaozhengxi pzx|召忽 shaohu sh|卜世仁 bushiren bsr|秘佳文 bijiawen bjw
隗嚣 weixiao wx|隗嚣 kuixiao kx|任长霞 renchangxia rcx|宁静 ningjing nj|华罗庚 hualuogeng hlg
尉健行 weijianxing wjx|尉迟恭 yuchigong ycg|长孙无忌 zhangsunwuji zswj|单于明 chanyuming cym|万俟卨 moqixie mqx
澹台灭明 tantaimieming ttmm|令狐冲 linghuchong lhc|皇甫谧 huangfumi hfm|夏侯惇 xiahoudun xhd|鲜于通 xianyutong xyt
晁盖 chaogai cg|都必强 dubiqiang dbq|费玉清 feiyuqing fyq|费直 bizhi bz|冼星海 xianxinghai xxh|洗夫人 xianfuren xfr
祭遵 zhaizun zz|黑万山 hewanshan hws|佴荣 nairong nr|逄先知 pangxianzhi pxz|谌龙 chenlong cl|谌容 shenrong sr
贠庆 yunqing yq|阚清子 kanqingzi kqz|宓妃 mifei mf|牟其中 mouqizhong mqz|牟平 muping mp|乜国 nieguo ng|句践 goujian gj
车晓 chexiao cx|那英 naying ny|薄一波 boyibo byb|莘野 shenye sy|郇正 xunzheng xz|肖邦 xiaobang xb|应采儿 yingcaier yce
吕布 lvbu lb|吕布 lyubu lb|欧阳淑贞 ouyangshuzhen oysz|㛃晓𬭎 jiexiaohong jxh|古丽娜尔·买买提 gulinaermaimaiti glnemmt
"""
CASES = [case.split() for line in DIFFICULT.strip().splitlines() for case in line.split("|")]


@pytest.mark.parametrize(("name", "spelling", "initials"), CASES, ids=[" ".join(case) for case in CASES])
def test_difficult_names_are_found(name: str, spelling: str, initials: str) -> None:
    assert {spelling, initials} <= keys(name)


def test_there_are_enough_difficult_surnames() -> None:
    assert len({name for name, _, _ in CASES}) >= 55
    assert len(SURNAMES) >= 30


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param("古丽娜尔·买买提", "maimaiti", id="the-second-part-of-a-uyghur-name"),
        pytest.param("古丽娜尔·买买提", "mmt", id="its-initials"),
        pytest.param("Maria Garcia", "mariagarcia", id="latin"),
        pytest.param("Maria Garcia", "mg", id="latin-initials"),
        pytest.param("Maria Garcia", "garcia", id="family-name-alone"),
        pytest.param("O'Neil", "oneil", id="apostrophe"),
        pytest.param("王Amy", "wangamy", id="mixed"),
    ],
)
def test_parts_and_latin_names(name: str, key: str) -> None:
    assert key in keys(name)


@pytest.mark.parametrize("name", ["", " ", "·", "123", "□"])
def test_what_cannot_be_read_has_no_keys(name: str) -> None:
    assert keys(name) == frozenset()


@settings(deadline=None)
@given(
    st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x2FFFF, exclude_categories=["Cs"]), max_size=20)
)
def test_keys_are_plain_and_bounded(name: str) -> None:
    found = keys(name)
    parts = max(1, len(name))
    assert len(found) <= 2 * KEYS_CAP * parts
    assert all(key.isascii() and key.isalpha() and key.islower() for key in found)


def test_the_usual_reading_survives_the_cap() -> None:
    # Nine characters with two readings and more each: far over the cap.
    name = "单乐曾解朴盖区查种"
    assert "shanlecengjiepugaiquchazhong" in keys(name)
    assert len(keys(name)) <= 2 * KEYS_CAP


@pytest.mark.parametrize(
    ("typed", "key"),
    [("SYQ", "syq"), ("Shan Ya-qin", "shanyaqin"), ("lü", "lv"), ("s y q", "syq"), ("12", "")],
)
def test_query_key(typed: str, key: str) -> None:
    assert query_key(typed) == key


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("单雅琴", "Shan Yaqin"),
        ("欧阳淑贞", "Ouyang Shuzhen"),
        ("覃𬭎", "Qin Hong"),
        ("吕布", "Lü Bu"),
        ("古丽娜尔·买买提", "Gulinaer Maimaiti"),
        ("Maria Garcia", ""),
        ("", ""),
        ("·", ""),
    ],
)
def test_display(name: str, spelling: str) -> None:
    assert display(name) == spelling


@pytest.mark.parametrize(
    ("name", "key", "likely"),
    [("王秀兰", "wxl", True), ("王秀兰", "wangx", True), ("王秀兰", "yxl", False), ("单雅琴", "dyq", False)],
)
def test_is_likely(name: str, key: str, likely: bool) -> None:
    assert is_likely(name, key) is likely
