"""Deployment frequency and change failure rate, as Prometheus counters."""
