"""What every table of the schema is made from: the base class, and the forms of text that several of them share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from edge_node.config import values

_NAME = values.text(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", "lower-case letters, digits and hyphens", "cloud")
_CREDENTIAL = values.text(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", "the name of a credential (letters, digits, . _ -)", "cloud-key"
)
_WORDS = values.text(r"[^\x00-\x1f\x7f]{1,100}", "1 to 100 characters on one line", "China Telecom")

Name = Annotated[str, _NAME]
Credential = Annotated[str, _CREDENTIAL]
Words = Annotated[str, _WORDS]


class Section(BaseModel):
    """A table of the file: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)
