"""The crowd: load, test commands and gates for the hooks of a rollout.

Its HTTP face is Flagger's load tester's. It is called by URL, tells facts about what it ran, and
works alone too, without NATS.
"""
