"""Diagnoses that an outpatient clinic makes every week: code, Chinese and English name; `import icd` brings the rest.

Codes have the form of the national clinical edition of ICD-10. The initials by which a doctor types them are made from
the Chinese name by `seed.diagnoses`.
"""

from __future__ import annotations

COMMON_DIAGNOSES: tuple[tuple[str, str, str], ...] = (
    # Breathing, ears, nose and throat
    ("J06.900", "急性上呼吸道感染", "Acute upper respiratory infection"),
    ("J00.x00", "急性鼻咽炎（感冒）", "Acute nasopharyngitis (common cold)"),
    ("J02.900", "急性咽炎", "Acute pharyngitis"),
    ("J03.900", "急性扁桃体炎", "Acute tonsillitis"),
    ("J04.000", "急性喉炎", "Acute laryngitis"),
    ("J11.100", "流行性感冒", "Influenza"),
    ("J18.900", "肺炎", "Pneumonia"),
    ("J20.900", "急性支气管炎", "Acute bronchitis"),
    ("J30.400", "变应性鼻炎", "Allergic rhinitis"),
    ("J31.200", "慢性咽炎", "Chronic pharyngitis"),
    ("J32.900", "慢性鼻窦炎", "Chronic sinusitis"),
    ("J42.x00", "慢性支气管炎", "Chronic bronchitis"),
    ("J44.900", "慢性阻塞性肺疾病", "Chronic obstructive pulmonary disease"),
    ("J45.900", "支气管哮喘", "Asthma"),
    ("H66.900", "中耳炎", "Otitis media"),
    ("H10.900", "结膜炎", "Conjunctivitis"),
    ("K12.000", "复发性口腔溃疡", "Recurrent oral aphthae"),
    # Heart, vessels, metabolism
    ("I10.x00", "高血压", "Hypertension"),
    ("I25.100", "冠状动脉粥样硬化性心脏病", "Atherosclerotic heart disease"),
    ("I49.900", "心律失常", "Cardiac arrhythmia"),
    ("I63.900", "脑梗死", "Cerebral infarction"),
    ("I84.900", "痔", "Haemorrhoids"),
    ("E11.900", "2 型糖尿病", "Type 2 diabetes mellitus"),
    ("E78.500", "高脂血症", "Hyperlipidaemia"),
    ("E79.000", "高尿酸血症", "Hyperuricaemia"),
    ("M10.900", "痛风", "Gout"),
    ("E04.900", "甲状腺结节", "Thyroid nodule"),
    ("D50.900", "缺铁性贫血", "Iron deficiency anaemia"),
    # Digestion
    ("A09.901", "急性胃肠炎", "Acute gastroenteritis"),
    ("K29.500", "慢性胃炎", "Chronic gastritis"),
    ("K21.900", "胃食管反流病", "Gastro-oesophageal reflux disease"),
    ("K25.900", "胃溃疡", "Gastric ulcer"),
    ("K30.x00", "功能性消化不良", "Functional dyspepsia"),
    ("K59.000", "便秘", "Constipation"),
    ("K76.000", "脂肪肝", "Fatty liver"),
    ("K80.200", "胆囊结石", "Gallstones"),
    ("R10.400", "腹痛", "Abdominal pain"),
    # Skin, wounds
    ("L20.900", "特应性皮炎", "Atopic dermatitis"),
    ("L23.900", "变应性接触性皮炎", "Allergic contact dermatitis"),
    ("L30.900", "湿疹", "Eczema"),
    ("L50.900", "荨麻疹", "Urticaria"),
    ("L70.900", "痤疮", "Acne"),
    ("L02.900", "皮肤脓肿", "Skin abscess"),
    ("B02.900", "带状疱疹", "Herpes zoster"),
    ("B35.300", "足癣", "Tinea pedis"),
    ("T14.101", "开放性伤口", "Open wound"),
    ("S93.400", "踝关节扭伤", "Ankle sprain"),
    # Bones, nerves
    ("M47.800", "颈椎病", "Cervical spondylosis"),
    ("M51.200", "腰椎间盘突出", "Lumbar disc herniation"),
    ("M54.500", "腰痛", "Low back pain"),
    ("M75.000", "肩周炎", "Frozen shoulder"),
    ("M17.900", "膝关节骨关节炎", "Osteoarthritis of the knee"),
    ("G43.900", "偏头痛", "Migraine"),
    ("R42.x00", "头晕", "Dizziness"),
    ("G47.000", "失眠", "Insomnia"),
    ("F41.100", "广泛性焦虑障碍", "Generalised anxiety disorder"),
    # Kidneys, women, children
    ("N39.000", "泌尿道感染", "Urinary tract infection"),
    ("N20.000", "肾结石", "Kidney stone"),
    ("N40.x00", "前列腺增生", "Prostatic hyperplasia"),
    ("N76.000", "阴道炎", "Vaginitis"),
    ("N94.600", "痛经", "Dysmenorrhoea"),
    ("B08.401", "手足口病", "Hand, foot and mouth disease"),
    ("B01.900", "水痘", "Chickenpox"),
    ("R50.900", "发热", "Fever"),
)
