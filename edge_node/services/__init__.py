"""Composition roots: each service reads the configuration, builds its parts, and runs until it is told to stop."""
