"""Questions to targets through one line: when they are asked (`engine`), how they are pinned (`pin`), what they are.

`icmp` and `tcp` share one shape: `ask` sends a question and says if it could not leave, `listen` reads what came, and
answers go to the function that the probe was opened with.
"""
