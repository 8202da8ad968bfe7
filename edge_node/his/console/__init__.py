"""What the node does, for whoever looks after it."""

from edge_node.his.console import copy_views
from edge_node.his.console.views import blueprint

__all__ = ["blueprint", "copy_views"]
