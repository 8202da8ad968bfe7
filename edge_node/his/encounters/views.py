from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("encounters", __name__, url_prefix="/encounters")
