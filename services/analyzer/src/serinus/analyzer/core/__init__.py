"""The brain's pure part: no clock, no network, no randomness.

`rollout.py` holds the nouns, `decide.py` the loop, `rules.py` the ordered rules, `desired.py` what
the cluster shall look like. Everything else answers one question each.
"""
