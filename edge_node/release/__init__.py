"""Releases: the bundle that brings one, the folder that holds several, and the way from one to the next."""
