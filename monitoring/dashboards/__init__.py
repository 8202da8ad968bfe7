"""Dashboards for Grafana, written by code and committed: `python -m monitoring.dashboards` writes them anew."""
