"""What to do next for one canary, from the intent and the live objects. No I/O, no clock."""
