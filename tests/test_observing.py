"""What operators look at, fed by real workers and read by a real Prometheus: the dashboard and the alerts."""

import asyncio
import re
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest

import starter
from contracts.drift import Watch
from contracts.failures import Failure
from contracts.metrics import ALL, PARKED, PORTAL_CALLS, PROOFS_REFUSED, Kind
from contracts.names import TaskQueue
from contracts.owner import Prove
from contracts.stages import End, Stage
from runtime.development import free_port, process
from tests.harness.portal import Customer
from tests.harness.processes import environment, run_shell
from tests.harness.prometheus import OBSERVED, Prometheus, dashboard, installed, prometheus
from tests.harness.world import PATIENCE, World
from workflows.drift import DriftWatch

pytestmark = pytest.mark.production


async def checked(line: str, folder: Path = OBSERVED) -> tuple[int, str]:
    """Run promtool in a folder: its exit code, and all it said."""
    env = environment()
    code, out, error = await run_shell(f"cd {folder} && exec {installed('promtool')} {line}", env)
    return code, out + error


async def test_each_alert_is_quiet_fires_and_is_quiet_again() -> None:
    """The rules' own unit tests pass, and there is one in which each alert fires."""
    assert await checked("test rules rules_test.yml") == (0, "Unit Testing:  rules_test.yml\n  SUCCESS\n\n")
    rules, tests = (OBSERVED / "rules.yml").read_text(), (OBSERVED / "rules_test.yml").read_text()
    alerts = set(re.findall(r"- alert: (\w+)", rules))
    fired = set(re.findall(r'labels: .{alertname="(\w+)"', tests)) | {"EjectParked"}
    assert alerts == fired


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"15m"}) > 0', '"15m"}) > 2'),
        ("> 4.5", "> 5.5"),
        ("for: 15m", "for: 45m"),
        ('absent(temporal_num_pollers{task_queue="eject-client"', "absent(temporal_num_pollers{a='b'"),
    ],
)
async def test_a_wrong_rule_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    """The unit tests can fail."""
    rules = (OBSERVED / "rules.yml").read_text()
    assert right in rules
    (tmp_path / "rules.yml").write_text(rules.replace(right, wrong))
    (tmp_path / "rules_test.yml").write_text((OBSERVED / "rules_test.yml").read_text())
    code, said = await checked("test rules rules_test.yml", tmp_path)
    assert (code, "FAILED" in said) == (1, True), said


async def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """With the rules at the place where the compose file mounts them."""
    config = (OBSERVED / "prometheus.yml").read_text()
    assert "/etc/prometheus/rules.yml" in config
    (tmp_path / "p.yml").write_text(config.replace("/etc/prometheus/rules.yml", str(OBSERVED / "rules.yml")))
    code, said = await checked("check config p.yml", tmp_path)
    assert code == 0, said
    assert "job_name: eject-worker" in config, "the alerts speak of it"


async def test_every_query_of_the_dashboard_is_answered_with_data(workerless: World, tmp_path: Path) -> None:
    """Ejects that end, park, are refused proofs, and a Portal that limits and refuses: all of it is seen."""
    world = workerless
    ports = {role: free_port() for role in ("custodian", "client")}
    async with AsyncExitStack() as stack:
        for role, port in ports.items():
            env = _environment(world, role, port)
            command = (sys.executable, "worker.py", "--role", role)
            await stack.enter_async_context(process(*command, env=env, log=tmp_path / f"{role}.log"))
        for port in ports.values():
            await _shown(port)
        targets = [f"127.0.0.1:{port}" for port in ports.values()]
        rules = [OBSERVED / "rules.yml"]
        asking = await stack.enter_async_context(prometheus(tmp_path / "p", targets, rules=rules))
        await asking.until("sum(up) == 2")
        await asking.until(f"min({PORTAL_CALLS.shown}) == 0")

        customers = await _happened(world)
        assert await asking.until("count(ALERTS{alertname='EjectPortalRefusesCredentials'})")
        for panel in dashboard():
            assert await asking.until(panel.expression), panel
        await _figures(asking)
        await _all_is_there(asking)
        texts = [await _shown(port) for port in ports.values()]
    named = {customer.client_id for customer in customers}
    named |= {w["id"] for one in customers for w in world.sandbox.client(one.client_id)["wallets"]}
    assert not [name for name in named for text in texts if name in text]


def _environment(world: World, role: str, port: int) -> dict[str, str]:
    other = "EJECT_CLIENT_IDENTITY" if role == "custodian" else "EJECT_CUSTODIAN_API_KEY"
    own = {name: value for name, value in world.environment().items() if name != other}
    return environment(**own, EJECT_METRICS_ADDRESS=f"127.0.0.1:{port}")


async def _shown(port: int) -> str:
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as http:
        while True:
            with suppress(httpx.TransportError):
                return (await http.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status().text
            await asyncio.sleep(0.1)


async def _happened(world: World) -> Iterable[Customer]:
    """One eject that ends, though Portal limits it and a proof is wrong; one parks, one is not let in."""
    leaving, parking, unknown = (world.sandbox.seed() for _ in range(3))
    for customer in (leaving, parking, unknown):
        await world.deposit_api_key(customer)
    world.sandbox.fault("enable_eject", "status", status=429, client_id=leaving.client_id)
    handle = await world.start(leaving)
    await world.client.execute_workflow(
        DriftWatch.run,
        Watch(since=world.sandbox.now()),
        id=f"look-{leaving.client_id}",
        task_queue=TaskQueue.EJECT,
    )
    await world.reach(handle, Stage.AWAITING_CLAIM)
    right = world.proofs(await world.claim(leaving))
    first, *others = right.proofs
    last = "0" if first.signature[40] != "0" else "1"
    turned = first.model_copy(update={"signature": first.signature[:40] + last + first.signature[41:]})
    strange = first.model_copy(update={"wallet": "nobodys"})
    for wrong in (turned, strange):
        with pytest.raises(starter.EjectError):
            await world.prove(leaving, Prove(proofs=(wrong, *others)))
    await world.prove(leaving, right)
    assert (await world.end(handle)).end is End.EJECTED

    await world.reach(await starter.start(world.client, world.request(parking)), Stage.PARKED)
    world.sandbox.fault("read_client", "status", status=401, client_id=unknown.client_id)
    await world.reach(await world.start(unknown), Stage.PARKED)
    # As where a version does not know what runs: the task fails until another does.
    await world.client.start_workflow("Unknown", id="unknown", task_queue=TaskQueue.EJECT)
    return leaving, parking, unknown


async def _figures(asking: Prometheus) -> None:
    """What has happened, as it was counted: once each, by the worker that did it."""
    parks = f"{PARKED.shown}{{step='%s', failure='%s'}} == 1"
    calls = f"sum({PORTAL_CALLS.shown}{{call='%s', outcome='%s'}}) == 1"
    refused = f"{PROOFS_REFUSED.shown}{{reason='%s'}} == 1"
    for expression in (
        "eject_ended_total{end='ejected'} == 1",
        parks % ("back_up", Failure.DEPOSIT_MISSING),
        parks % ("check", Failure.CREDENTIAL_REJECTED),
        calls % ("enable eject", "throttled"),
        calls % ("read client", "credential_rejected"),
        calls % ("complete eject", "ok"),
        refused % "form",
        refused % "wrong",
        "eject_attempts_failed_total{step='enable_eject'} == 1",
        "max(eject_running{stage='parked'}) == 2",
        "max(eject_running{stage='completing'}) == 0",
        "eject_stage_duration_seconds_count{stage='awaiting_proof'} == 1",
        "eject_stage_duration_seconds_bucket{stage='awaiting_claim', le='2592000'} == 1",
        "sum(eject_portal_call_duration_seconds_bucket{call='back up', le='120'}) == 1",
    ):
        assert await asking.until(expression), expression


async def _all_is_there(asking: Prometheus) -> None:
    """Every metric of ours, and every one that a rule or the dashboard names; and every rule works."""
    await asking.until("temporal_workflow_task_execution_failed_total")
    known = await asking.names()
    rules = (OBSERVED / "rules.yml").read_text()
    expressions = re.findall(r"expr: (.*(?:\n {10}.*)*)", rules) + [one.expression for one in dashboard()]
    named = {name for text in expressions for name in re.findall(r"\b(?:eject|temporal)_\w+", text)}
    assert len(named) >= 15
    assert named - known == set()
    for metric in ALL:
        shown = [metric.shown] if metric.kind is not Kind.HISTOGRAM else [f"{metric.shown}_bucket"]
        assert set(shown) <= known, metric
    async with asyncio.timeout(PATIENCE):
        while True:
            if set((await asking.rules()).values()) == {"ok"}:
                break
            await asyncio.sleep(0.2)
