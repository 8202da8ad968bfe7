"""The edge node of a clinic: HIS, replication, outbox, composition and command line."""

__version__ = "0.1.0"
