"""`python -m serinus.loadtester`"""

from serinus.loadtester.app import service
from serinus.runtime import run

if __name__ == "__main__":
    run(service)
