"""What a browser sent, as our forms read it: one rule for every field of every form, and for what addresses ask.

Signs that no page shows (NUL and the like come from scanners and word processors) are left out before anything is
judged. Nobody could find them in a field to mend it, and kept they would stand unseen in a record for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict, iter_multi_items

from edge_node.his.forms import seen


class Typed(ImmutableMultiDict[str, Any]):
    """Names and values without what cannot be seen. A password is compared as it was typed, so it stays."""

    def __init__(self, pairs: Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__(
            [
                (seen(name), seen(value) if isinstance(value, str) and "password" not in name else value)
                for name, value in iter_multi_items(pairs or ())
            ]
        )


class Incoming(Request):
    """A request whose form and whose address are read so."""

    parameter_storage_class = Typed
