"""The line library: watches lines, decides, sets routes. Depends on nothing of ours."""
