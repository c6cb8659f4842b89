"""kubernetes-asyncio without its generated models.

Importing `kubernetes_asyncio.client` loads some nine hundred modules, one per API type: 38 MB and
half a second for each service, and nothing here uses them. So while the parts that we do use are
being imported, the two packages that would load all of it are stood in for by empty ones; right
afterwards they are forgotten again, so that anybody else who imports the library gets all of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

_ROOT = "kubernetes_asyncio"
_PACKAGES = (_ROOT, f"{_ROOT}.client")


def _stand_in(name: str, path: list[str]) -> ModuleType:
    package = ModuleType(name)
    package.__path__ = path
    return package


def _parts() -> tuple[ModuleType, ModuleType, ModuleType]:
    """The configuration, rest and config modules; whole where the library is loaded already."""
    before = set(sys.modules)
    if _ROOT not in before:
        spec = importlib.util.find_spec(_ROOT)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(f"{_ROOT} is not installed")
        root = list(spec.submodule_search_locations)
        sys.modules[_ROOT] = _stand_in(_ROOT, root)
        client = _stand_in(_PACKAGES[1], [f"{folder}/client" for folder in root])
        sys.modules[_PACKAGES[1]] = client
        configuration = importlib.import_module(f"{_ROOT}.client.configuration")
        # The loader of kubeconfigs names the class, for a function that we do not call.
        client.ApiClient = None  # type: ignore[attr-defined] # a module made here
        client.Configuration = configuration.Configuration  # type: ignore[attr-defined] # the same
    try:
        return (
            importlib.import_module(f"{_ROOT}.client.configuration"),
            importlib.import_module(f"{_ROOT}.client.rest"),
            importlib.import_module(f"{_ROOT}.config"),
        )
    finally:
        for name in set(sys.modules) - before:
            if name == _ROOT or name.startswith(f"{_ROOT}."):
                del sys.modules[name]


_configuration, _rest, _config = _parts()

Configuration: Any = _configuration.Configuration
RESTClientObject: Any = _rest.RESTClientObject
ConfigException: type[Exception] = _config.ConfigException
load_incluster_config: Any = _config.load_incluster_config


async def kubeconfig(path: str, configuration: Any) -> None:
    """Fills `configuration` from a kubeconfig file, or several joined by the path separator."""
    await _config.load_kube_config(
        config_file=path, client_configuration=configuration, persist_config=False
    )
