"""Releases through real pods, a real proxy and real requests; see README.md."""
