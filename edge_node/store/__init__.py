"""The data layer: knows SQL, knows no web."""
