"""The node's own samples, kept through an outage and pushed to a central Prometheus afterwards."""
