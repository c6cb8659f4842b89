"""`python -m serinus.watcher`."""

from serinus.runtime.run import run
from serinus.watcher.app import service

if __name__ == "__main__":
    run(service)
