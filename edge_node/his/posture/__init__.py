"""What staff are told of the node's state: the line on every page, and the page of what works now."""

from edge_node.his.posture.rules import copy_facts
from edge_node.his.posture.views import blueprint, current_line, node_status

__all__ = ["blueprint", "copy_facts", "current_line", "node_status"]
