"""Leaf package: the standard library only, and no word of the clinic."""
