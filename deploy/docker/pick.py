"""Writes the part of requirements.lock that a service needs, hashes and all, to stdout.

    python pick.py needs/<service>.txt [needs/<another>.txt ...] requirements.lock

Of several lists it writes what all of them name. With `--members` it prints the folders of the
members instead.
"""

import re
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    members = "--members" in arguments
    *needs_files, lock_file = [a for a in arguments if not a.startswith("--")]
    first, *others = (_needs(Path(file)) for file in needs_files)
    needs = [need for need in first if all(need in other for other in others)]
    if members:
        print("\n".join(f"./{need}" for need in needs if "/" in need))
        return 0
    entries = re.split(r"\n(?=\S)", Path(lock_file).read_text("utf-8").strip())
    by_name = {entry.split("==", 1)[0]: entry for entry in entries}
    missing = [need for need in needs if "/" not in need and need not in by_name]
    if missing:
        print(f"not in {lock_file}: {', '.join(missing)}", file=sys.stderr)
        return 1
    print("\n".join(by_name[need] for need in needs if "/" not in need))
    return 0


def _needs(file: Path) -> list[str]:
    lines = file.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
