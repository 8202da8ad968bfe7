"""The web application of the clinic."""
