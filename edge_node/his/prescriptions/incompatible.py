"""What does not go together: the herbs of the pharmacopoeia's notes, and common interactions. Data.

Herbs: the "eighteen that oppose" and the "nineteen that fear", as the pharmacopoeia repeats them herb by herb.
Interactions: those of a general clinic whose labels forbid or warn; a short list of ours, no register of others.
"""

from __future__ import annotations

from edge_node.his.prescriptions.model import Interaction

_ACONITE = ("川乌", "草乌", "附子")
_AGAINST_ACONITE = (
    "半夏",
    "瓜蒌",
    "瓜蒌皮",
    "瓜蒌子",
    "天花粉",
    "川贝母",
    "浙贝母",
    "平贝母",
    "伊贝母",
    "湖北贝母",
    "白蔹",
    "白及",
)
_AGAINST_LIQUORICE = ("甘遂", "京大戟", "红大戟", "海藻", "芫花")
_AGAINST_VERATRUM = ("人参", "党参", "丹参", "玄参", "南沙参", "北沙参", "苦参", "细辛", "白芍", "赤芍")
_FEAR = (
    ("硫黄", "芒硝"),
    ("硫黄", "玄明粉"),
    ("水银", "砒霜"),
    ("狼毒", "密陀僧"),
    ("巴豆", "牵牛子"),
    ("丁香", "郁金"),
    ("芒硝", "三棱"),
    ("玄明粉", "三棱"),
    ("川乌", "水牛角"),
    ("草乌", "水牛角"),
    ("人参", "五灵脂"),
    ("肉桂", "赤石脂"),
)

HERBS: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        *((aconite, other) for aconite in _ACONITE for other in _AGAINST_ACONITE),
        *(("甘草", other) for other in _AGAINST_LIQUORICE),
        *(("藜芦", other) for other in _AGAINST_VERATRUM),
        *_FEAR,
    )
)

_BLEEDING = "出血风险增加"
_LOW_SUGAR = "低血糖风险增加"
_HEART = "心律失常风险增加"
_MUSCLE = "肌病、横纹肌溶解风险增加"
_POTASSIUM = "高钾血症风险增加"
_DROWSY = "嗜睡、呼吸抑制加重"
_ALCOHOL_LIKE = "双硫仑样反应"

INTERACTIONS: tuple[Interaction, ...] = tuple(
    Interaction(one=one, other=other, effect=effect)
    for one, other, effect in (
        ("华法林", "解热镇痛药", _BLEEDING),
        ("华法林", "磺胺甲噁唑", _BLEEDING),
        ("华法林", "甲硝唑", _BLEEDING),
        ("华法林", "氟康唑", _BLEEDING),
        ("华法林", "喹诺酮类", _BLEEDING),
        ("华法林", "大环内酯类", _BLEEDING),
        ("氯吡格雷", "奥美拉唑", "氯吡格雷疗效降低"),
        ("氯吡格雷", "解热镇痛药", _BLEEDING),
        ("他汀类", "大环内酯类", _MUSCLE),
        ("他汀类", "非诺贝特", _MUSCLE),
        ("普利类", "螺内酯", _POTASSIUM),
        ("沙坦类", "螺内酯", _POTASSIUM),
        ("普利类", "氯化钾", _POTASSIUM),
        ("沙坦类", "氯化钾", _POTASSIUM),
        ("地高辛", "胺碘酮", "地高辛血药浓度升高"),
        ("喹诺酮类", "胺碘酮", _HEART),
        ("大环内酯类", "胺碘酮", _HEART),
        ("大环内酯类", "喹诺酮类", _HEART),
        ("茶碱类", "喹诺酮类", "茶碱血药浓度升高"),
        ("茶碱类", "大环内酯类", "茶碱血药浓度升高"),
        ("磺脲类", "磺胺甲噁唑", _LOW_SUGAR),
        ("磺脲类", "氟康唑", _LOW_SUGAR),
        ("苯二氮䓬类", "阿片类", _DROWSY),
        ("苯二氮䓬类", "氯苯那敏", _DROWSY),
        ("头孢哌酮", "乙醇", _ALCOHOL_LIKE),
        ("甲硝唑", "乙醇", _ALCOHOL_LIKE),
        ("喹诺酮类", "钙剂", "喹诺酮类吸收减少"),
        ("四环素类", "钙剂", "四环素类吸收减少"),
        ("左甲状腺素", "钙剂", "左甲状腺素吸收减少"),
        ("硝酸酯类", "西地那非", "严重低血压"),
    )
)
