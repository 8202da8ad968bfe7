"""The laboratory: a clinic, two carriers and a cloud in network namespaces. For tests, and for people: `make lab`."""
