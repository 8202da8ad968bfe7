"""A clinic's day, played through the pages as browsers would: for trying the node, and for what its pages cost."""
