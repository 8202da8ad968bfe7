"""Names whose surnames a dictionary reads wrongly, and what a registrar types for them."""

from __future__ import annotations

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
