"""The configuration: its schema, how a file becomes values, and how values become text again."""
