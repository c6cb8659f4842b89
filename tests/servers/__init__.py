"""The real servers that tests run against, and the stand-ins where there is no real one.

Here: how each is found, started and ended. Not here: what is asserted about them. The launchers
need no pytest, so the benchmarks and the replay of recorded runs use them too.
"""
