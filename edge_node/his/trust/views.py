"""The page that explains how to trust the node, and the file that it speaks of. Both need no sign-in.

They come over TLS, as every page: on a computer that does not trust the node yet, the browser warns once. What is
downloaded is not believed for how it came, but for the fingerprint on the hand-over sheet.
"""

from __future__ import annotations

from flask import Blueprint, abort, render_template
from werkzeug.wrappers import Response

from edge_node.his.context import context
from edge_node.his.trust.steps import DEVICES
from edge_node.tls.trusted import rows

blueprint = Blueprint("trust", __name__)

# What every system takes for a certificate to install (RFC 5280's own name for it is refused by some).
CERTIFICATE_TYPE = "application/x-x509-ca-cert"


@blueprint.get("/trust")
def index() -> str:
    """How a computer comes to trust these pages."""
    return render_template(
        "trust/index.html", authority=context().authority(), devices=DEVICES, rows=rows, contact=context().contact
    )


@blueprint.get("/trust/ca.crt")
def certificate() -> Response:
    """The clinic's authority in DER; 404 where there is none."""
    authority = context().authority()
    if authority is None:
        abort(404)
    name = f"{authority.name.replace(' ', '-').lower()}.crt"
    # Not as an attachment: an iPad then offers to install it, and every other browser downloads it all the same.
    return Response(
        authority.certificate,
        mimetype=CERTIFICATE_TYPE,
        headers={"Content-Disposition": f'inline; filename="{name}"'},
    )
