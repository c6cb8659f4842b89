"""One mesh per file: four pure functions on plain objects. `catalog` is the table of them."""
