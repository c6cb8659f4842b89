"""python -m serinus.coordinator"""

from serinus.coordinator.app import service
from serinus.runtime.run import run

run(service)
