"""A QR code read by somebody else's reader, from the pixels of a picture."""

from __future__ import annotations

import io
import re

import zxingcpp
from PIL import Image

from edge_node.his.staff.qr import Picture

# What a reader needs of a module; what it gets on the page is in the browser's hands.
_PIXELS = 4


def read_picture(png: bytes) -> str:
    """What the one code in a screenshot says."""
    with Image.open(io.BytesIO(png)) as picture:
        return _read(picture.convert("L"))


def read_drawn(picture: Picture) -> str:
    """What a path says that is drawn as a browser would."""
    drawn = Image.new("L", (picture.side * _PIXELS,) * 2, 255)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", picture.path):
        left, top = int(x) * _PIXELS, int(y) * _PIXELS
        drawn.paste(0, (left, top, left + int(width) * _PIXELS, top + _PIXELS))
    return _read(drawn)


def _read(picture: Image.Image) -> str:
    (code,) = zxingcpp.read_barcodes(picture)
    return str(code.text)
