"""Judges that compare the canary with the primary: pure functions on counts, sources cited."""
