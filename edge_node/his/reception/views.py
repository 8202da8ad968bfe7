from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("reception", __name__, url_prefix="/reception")
