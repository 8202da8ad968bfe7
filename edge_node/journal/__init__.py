"""The node's history: what the watcher told and saw, in node.db. It records; it decides nothing."""
