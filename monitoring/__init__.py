"""Metrics and reports. Depends on nothing of ours; is handed values."""
