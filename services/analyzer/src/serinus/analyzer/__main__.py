"""`python -m serinus.analyzer`"""

from serinus.analyzer.app import service
from serinus.runtime.run import run

if __name__ == "__main__":
    run(service)
