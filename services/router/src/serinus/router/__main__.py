"""The router as a program."""

from __future__ import annotations

from serinus.router.app import service
from serinus.runtime.run import run

if __name__ == "__main__":
    run(service)
