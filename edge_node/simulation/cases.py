"""What made-up patients come with, and what a doctor writes, looks up and prescribes for it. Data, made up too.

Drugs are named as the training catalogue has them; one that a clinic does not have is left out by its doctor. Some are
chosen so that the rules speak: a course of four weeks wants its reason, a penicillin its skin test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One reason to come. `diagnosis` is what is typed into the field that looks it up; temperatures in tenths of ℃."""

    department: str
    complaint: str
    history: str
    examination: str
    diagnosis: str
    drugs: tuple[str, ...] = ()
    herbs: tuple[str, ...] = ()
    fever: tuple[int, int] = (362, 372)


ADULTS = (
    Case(
        department="内科", complaint="咽痛、流涕 2 天", diagnosis="J06.900", fever=(365, 384),
        history="2 天前受凉后出现鼻塞、流清涕、咽痛，伴低热，无咳嗽、胸痛、气促。",
        examination="咽充血，扁桃体无肿大，双肺呼吸音清，未闻及干湿啰音。",
        drugs=("感冒清热颗粒", "对乙酰氨基酚片", "氯雷他定片"),
    ),
    Case(
        department="内科", complaint="咳嗽、咳黄痰 3 天", diagnosis="jxzqg", fever=(368, 389),
        history="3 天前受凉后咳嗽，咳黄痰，夜间明显，最高 38.2 ℃，无胸痛、咯血。",
        examination="咽充血，双肺呼吸音粗，可闻及少许湿啰音。心律齐。",
        drugs=("头孢呋辛酯片", "盐酸氨溴索片", "川贝枇杷膏"),
    ),
    Case(
        department="内科", complaint="咳嗽、咽痛 5 天", diagnosis="急性咽炎", fever=(365, 380),
        history="5 天前起咽干、咽痛，吞咽时加重，阵发性干咳。否认药物过敏。",
        examination="咽后壁充血，淋巴滤泡增生，双肺呼吸音清。",
        drugs=("阿莫西林胶囊", "蒲地蓝消炎口服液"),
    ),
    Case(
        department="内科", complaint="腹泻、腹痛 1 天", diagnosis="jxcwy",
        history="1 天前进食冷饮后腹泻 5 次，稀水样便，伴脐周隐痛、恶心，无脓血。",
        examination="腹软，脐周轻压痛，无反跳痛，肠鸣音活跃。",
        drugs=("蒙脱石散", "口服补液盐散", "双歧杆菌三联活菌胶囊"),
    ),
    Case(
        department="内科", complaint="高血压 6 年，复诊取药", diagnosis="I10",
        history="高血压病史 6 年，现服氨氯地平，血压控制在 130/80 mmHg 左右，无头晕、胸闷。",
        examination="神清，双肺呼吸音清，心率 72 次/分，律齐，双下肢无水肿。",
        drugs=("苯磺酸氨氯地平片", "阿托伐他汀钙片"),
    ),
    Case(
        department="内科", complaint="血糖升高 4 年，复诊取药", diagnosis="2 型糖尿病",
        history="2 型糖尿病 4 年，空腹血糖 6.8 mmol/L，无口渴、多尿、手足麻木。",
        examination="心肺未见异常，双足皮肤完整，足背动脉搏动好。",
        drugs=("盐酸二甲双胍片", "阿卡波糖片"),
    ),
    Case(
        department="内科", complaint="上腹隐痛、反酸 2 周", diagnosis="mxwy",
        history="2 周来餐后上腹隐痛、反酸、嗳气，无呕血、黑便，体重无变化。",
        examination="腹软，剑突下轻压痛，无包块。",
        drugs=("奥美拉唑肠溶胶囊", "铝碳酸镁咀嚼片"),
    ),
    Case(
        department="外科", complaint="右踝扭伤 3 小时", diagnosis="踝关节扭伤",
        history="3 小时前下楼时右踝内翻扭伤，局部肿痛，可跛行。",
        examination="右踝外侧肿胀、压痛，无骨擦感，末梢血运好。",
        drugs=("双氯芬酸钠缓释片", "活血止痛胶囊"),
    ),
    Case(
        department="外科", complaint="全身风团、瘙痒 1 天", diagnosis="荨麻疹",
        history="1 天前食海鲜后全身起风团，瘙痒明显，无胸闷、腹痛。",
        examination="躯干、四肢散在红色风团，部分融合，无破溃。",
        drugs=("盐酸西替利嗪片", "炉甘石洗剂"),
    ),
    Case(
        department="中医科", complaint="咳嗽、痰黄 4 天", diagnosis="急性支气管炎", fever=(365, 378),
        history="4 天前外感后咳嗽，痰黄黏稠，咽痛口渴，微恶风，大便偏干。",
        examination="舌边尖红，苔薄黄，脉浮数。双肺呼吸音粗。",
        herbs=("金银花", "连翘", "黄芩", "桔梗", "浙贝母", "甘草"),
    ),
    Case(
        department="中医科", complaint="乏力、纳差 1 月", diagnosis="功能性消化不良",
        history="1 月来乏力、食后腹胀、便溏，面色少华，劳累后加重。",
        examination="舌淡胖有齿痕，苔薄白，脉细弱。腹软无压痛。",
        herbs=("党参", "白术", "茯苓", "陈皮", "山楂", "甘草"),
    ),
    Case(
        department="内科", complaint="体检发现血脂升高，咨询", diagnosis="高脂血症",
        history="单位体检总胆固醇 6.1 mmol/L，无胸闷、胸痛，无相关家族史。",
        examination="一般情况好，心肺腹未见异常。",
    ),
)  # fmt: skip

CHILDREN = (
    Case(
        department="儿科", complaint="发热、流涕 1 天", diagnosis="J06.900", fever=(373, 394),
        history="1 天前发热，最高 38.9 ℃，伴流涕、轻咳，无抽搐、皮疹、呕吐，精神可。",
        examination="精神反应好，咽充血，双肺呼吸音清，腹软，无皮疹，颈软。",
        drugs=("小儿豉翘清热颗粒", "布洛芬混悬液"),
    ),
    Case(
        department="儿科", complaint="咳嗽 3 天", diagnosis="急性支气管炎", fever=(366, 382),
        history="3 天前起阵发性咳嗽，喉中有痰，夜间明显，无喘息、气促。",
        examination="咽稍红，双肺呼吸音粗，可闻及痰鸣音。",
        drugs=("盐酸氨溴索口服溶液", "头孢克肟颗粒"),
    ),
    Case(
        department="儿科", complaint="腹泻 2 天", diagnosis="jxcwy",
        history="2 天来每日稀便 4 至 6 次，无脓血，尿量正常，进食稍差。",
        examination="口唇湿润，皮肤弹性好，腹软，肠鸣音活跃。",
        drugs=("蒙脱石散", "口服补液盐散"),
    ),
    Case(
        department="儿科", complaint="手足皮疹 1 天", diagnosis="手足口病", fever=(370, 388),
        history="1 天前发现手掌、足底及口周散在疱疹，低热，进食少，托班有类似患儿。",
        examination="手足、口腔散在疱疹，精神反应可，无肢体抖动，心肺未见异常。",
    ),
)  # fmt: skip
