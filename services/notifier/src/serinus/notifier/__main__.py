"""`python -m serinus.notifier`"""

from serinus.notifier.app import service
from serinus.runtime import run

if __name__ == "__main__":
    run(service)
