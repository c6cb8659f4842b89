"""The real Prometheus, scraping what a test tells it to."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers.process import Child, answers, free_ports
from tests.tools import debian


class Prometheus:
    """A running Prometheus; `url` is its base address."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]], every_s: float) -> None:
        self.folder = folder
        self._port = free_ports(1)[0]
        self._child: Child | None = None
        jobs = [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
            for job, addresses in targets.items()
        ]
        every = f"{every_s * 1000:.0f}ms"
        # JSON is YAML, and needs no quoting rules.
        self._config = json.dumps(
            {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": jobs}
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def child(self) -> Child:
        assert self._child is not None, "it is not started"
        return self._child

    def start(self) -> None:
        """Returns when it answers queries. Raises ServerError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(self._config)
        argv = [
            debian.program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--storage.tsdb.retention.time=1h",
            "--log.level=warn",
        ]
        self._child = Child("prometheus", argv, self.folder / "prometheus.log")
        self._child.wait_until(answers(f"{self.url}/-/ready"), "ready")

    def query(self, text: str) -> list[float]:
        """The values of an instant query's vector, in the server's order."""
        words = urllib.parse.urlencode({"query": text})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{words}", timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        return [float(row["value"][1]) for row in result]

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()


@contextlib.contextmanager
def prometheus(
    folder: Path, targets: Mapping[str, Sequence[str]], every_s: float = 1.0
) -> Iterator[Prometheus]:
    """A running Prometheus that scrapes `targets` (job -> host:port, ...) every so many seconds."""
    server = Prometheus(folder, targets, every_s)
    try:
        server.start()
        yield server
    finally:
        server.stop()
