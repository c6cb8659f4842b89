"""A pocket cluster for people with no cluster, made of pip packages only.

`Sandbox` is the whole of it; `ApiServer` is the Kubernetes API alone. Nothing in the ring imports
this package.
"""

from serinus.sandbox.apiserver import ApiServer
from serinus.sandbox.controllers import Controllers
from serinus.sandbox.images import Program
from serinus.sandbox.leash import Child, Leash
from serinus.sandbox.sandbox import Sandbox, control_plane, define, kubeconfig
from serinus.sandbox.servers import NatsServer, NotStarted, Traefik

__all__ = [
    "ApiServer",
    "Child",
    "Controllers",
    "Leash",
    "NatsServer",
    "NotStarted",
    "Program",
    "Sandbox",
    "Traefik",
    "control_plane",
    "define",
    "kubeconfig",
]
