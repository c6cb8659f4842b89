"""Where measurements come from: one module and one row in `catalog.py` per kind of source."""
