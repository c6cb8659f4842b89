"""An authority of the test's own, and certificates that it signed (openssl)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.tools import debian

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificate(NamedTuple):
    """Paths of a certificate and its key, both PEM."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority with its files in `folder`; `cert` is what others are to trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._own = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
        usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
        _openssl(
            *("req", "-x509", *_CURVE, "-days", "2", "-subj", f"/CN={name}", "-addext", usage),
            *("-keyout", str(self._own.key), "-out", str(self._own.cert)),
        )

    @property
    def cert(self) -> Path:
        return self._own.cert

    def issue(self, name: str, *alternatives: str) -> Certificate:
        """A certificate for this common name and alternative names such as `IP:127.0.0.1`."""
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        names = ",".join(alternatives or (f"DNS:{name}",))
        _openssl(
            *("req", "-x509", *_CURVE, "-days", "2", "-subj", f"/CN={name}"),
            *("-CA", str(self._own.cert), "-CAkey", str(self._own.key)),
            *("-addext", f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE"),
            *("-keyout", str(made.key), "-out", str(made.cert)),
        )
        return made


def _openssl(*words: str) -> None:
    argv = [debian.program("openssl"), *words]
    subprocess.run(argv, check=True, timeout=30, capture_output=True)
