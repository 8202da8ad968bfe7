"""How a computer is told to trust the clinic's pages: the authority to download, and the steps."""

from edge_node.his.trust.views import blueprint

__all__ = ["blueprint"]
