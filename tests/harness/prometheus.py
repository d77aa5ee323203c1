"""A real Prometheus on a free port, and what a test asks of it."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from runtime.development import ROOT, free_port, process

OBSERVED = ROOT / "deploy/observability"
_READY_WITHIN = 60
# Grafana fills these in before it asks.
_FILLED = {"$__rate_interval": "1m", "$__range": "5m", "$__interval": "15s"}


class Prometheus:
    """The HTTP API of one running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression answers now; a wrong expression fails with Prometheus' own words."""
        answer = await self._get("/api/v1/query", {"query": expression})
        found: list[dict[str, Any]] = answer["result"]
        return found

    async def until(self, expression: str, seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until an expression answers with any number; series of NaN alone are none."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    if found := [one for one in await self.query(expression) if one["value"][1] != "NaN"]:
                        return found
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"Prometheus has no data for: {expression}") from None

    async def alerts(self) -> dict[str, str]:
        """The state of each alert that is pending or firing, by its name."""
        answer = await self._get("/api/v1/alerts", {})
        return {one["labels"]["alertname"]: one["state"] for one in answer["alerts"]}

    async def scraped(self) -> dict[str, str]:
        """The health of every target (`up`, `down`, `unknown`), by its address."""
        answer = await self._get("/api/v1/targets", {"state": "active"})
        return {one["labels"]["instance"]: one["health"] for one in answer["activeTargets"]}

    async def rules(self) -> dict[str, str]:
        """The health of every rule (`ok`, `err`, `unknown`), by its alert's name."""
        answer = await self._get("/api/v1/rules", {})
        return {rule["name"]: rule["health"] for group in answer["groups"] for rule in group["rules"]}

    async def names(self) -> set[str]:
        """Every metric that was ever scraped."""
        answer = (await self._http.get("/api/v1/label/__name__/values")).json()
        return set(answer["data"])

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        answer = (await self._http.get(path, params=dict(parameters))).json()
        assert answer["status"] == "success", (parameters, answer)
        data: dict[str, Any] = answer["data"]
        return data


@dataclass(frozen=True)
class Panel:
    """One query of the dashboard: the panel's title and the expression as Prometheus reads it."""

    title: str
    expression: str


def dashboard() -> list[Panel]:
    """Every query of the dashboard, Grafana's own variables filled in."""
    content = json.loads((OBSERVED / "grafana/dashboards/eject.json").read_text())
    return [Panel(title, _filled(expression)) for title, expression in _asked(content["panels"])]


def _asked(panels: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for panel in panels:
        yield from _asked(panel.get("panels", []))
        for target in panel.get("targets", []):
            yield str(panel["title"]), str(target["expr"])


def _filled(expression: str) -> str:
    for name, value in _FILLED.items():
        expression = expression.replace(name, value)
    return expression


def installed(program: str) -> str:
    """The path of Debian's `prometheus` or `promtool`; without it, what to install."""
    found = shutil.which(program)
    assert found, f"{program} is not installed: apt-get install --no-install-recommends prometheus"
    return found


@asynccontextmanager
async def prometheus(
    folder: Path,
    targets: Sequence[str],
    *,
    every: str = "1s",
    rules: Sequence[Path] = (),
) -> AsyncIterator[Prometheus]:
    """Scrape these `host:port` targets, with these rules, until the block ends; its data lie in `folder`."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port = await asyncio.to_thread(free_port)
    config = {
        "global": {"scrape_interval": every, "evaluation_interval": every, "scrape_timeout": every},
        "rule_files": [str(path) for path in rules],
        # Named like the worker's job of deploy/observability/prometheus.yml, which the rules speak of.
        "scrape_configs": [{"job_name": "eject-worker", "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = (
        installed("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
    async with process(*command, log=folder / "prometheus.log", env=dict(os.environ)) as running:
        asking = Prometheus(f"http://127.0.0.1:{port}")
        try:
            async with asyncio.timeout(_READY_WITHIN), httpx.AsyncClient(trust_env=False) as http:
                while True:
                    assert running.returncode is None, (folder / "prometheus.log").read_text()
                    with suppress(httpx.TransportError):
                        if (await http.get(f"{asking.url}/-/ready")).is_success:
                            break
                    await asyncio.sleep(0.05)
            yield asking
        finally:
            await asking.close()
