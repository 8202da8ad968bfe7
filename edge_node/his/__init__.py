"""The web application of the clinic."""

from __future__ import annotations

import os

# pypinyin asks for these when it is imported. Its 47,000 phrases are 42 MB and half a second of every start, and names
# are read character by character; the few places that want phrases load them (catalogues/initials.py).
os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")
os.environ.setdefault("PYPINYIN_NO_DICT_COPY", "true")
