"""Generators of every derived file: pure functions that return `{path: text}`."""
