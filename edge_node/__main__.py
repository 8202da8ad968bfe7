"""`python -m edge_node` is the same as `edge-node`."""

from edge_node.cli.main import main

main()
