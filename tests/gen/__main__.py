"""`python -m tests.gen` writes every derived file; `--check` only says which are stale."""

from __future__ import annotations

import sys

from tests.gen.tree import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
