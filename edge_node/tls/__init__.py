"""Certificates of the pages: the clinic's own authority, what it issues, and when anew. Nothing here serves anybody."""
