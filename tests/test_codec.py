"""The payload codec on: Temporal sees no word of an eject, keys rotate, a missing key only holds it."""

import asyncio
from asyncio.subprocess import PIPE

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.exceptions import ApplicationError

import starter
from contracts.commands import Cancel
from contracts.parks import Retry
from contracts.receipt import Receipt
from contracts.sealing import fingerprint
from contracts.stages import End, Stage
from runtime.codec import CodecError
from runtime.development import temporal_cli
from runtime.settings import ClientCredential, WorkerRole
from tests.harness.codecs import TOKEN, codec_server, new_key, with_keys
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.secrets import decoded
from tests.harness.world import PATIENCE, World, serving
from workflows import policies

BY, REASON, WHY = "Ada Quillfeather", "the owner moves house to Zanzibar", "Portal mended the xylophone"


async def go_on(world: World, handle: starter.EjectHandle, customer: Customer) -> End:
    """Have a worker of this world see a waiting eject through."""
    async with serving(world):
        return await claimed_and_proven(world, handle, customer)


async def claimed_and_proven(world: World, handle: starter.EjectHandle, customer: Customer) -> End:
    """The owner's part, by this world's client."""
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    return (await world.end(starter.handle_of(world.client, customer.client_id))).end


async def cli(world: World, server: dict[str, str], *words: str) -> tuple[int, str]:
    """Run the `temporal` CLI; its exit code, and all that it wrote."""
    own = world.environment()
    where = {name: own[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")}
    running = await asyncio.create_subprocess_exec(
        temporal_cli(), *words, env=environment(**where, **server), stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(running.communicate(), PATIENCE)
    assert running.returncode is not None
    return running.returncode, (out + err).decode()


async def parked_once(world: World, customer: Customer) -> starter.EjectHandle:
    """An eject whose backup was tried again, and that was parked and retried, up to its claim."""
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    world.sandbox.fault("back_up", "status", status=500)
    world.sandbox.change(customer.client_id, wallets={wallets[0]["id"]: {"next_fetch": "garbage"}})
    handle = await world.start(customer, requested_by=BY, reason=REASON)
    await world.reach(handle, Stage.PARKED)
    park = (await world.told(customer)).park
    assert park
    await starter.retry(world.client, customer.client_id, Retry(park=park.number, by=BY, why=WHY))
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return handle


def words_of(world: World, customer: Customer) -> dict[str, str]:
    """What only its participants shall read of such an eject, by a name for people."""
    wallets = world.sandbox.client(customer.client_id)["wallets"]
    recipient = world.owner.identity.recipient
    return {
        "who asked": BY,
        "the reason": REASON,
        "why it was retried": WHY,
        "the recipient": recipient,
        "its fingerprint": fingerprint(recipient),
        "a summary": policies.BACK_UP.summary,
        "what the first attempt met": "Portal answered 500",
        "why it parked": "does not parse",
        "the stack of a failure": "execute_activity",
        **{f"the key of wallet {wallet['id']}": wallet["publicKey"] for wallet in wallets},
    }


def unread(texts: list[str], words: dict[str, str]) -> list[str]:
    """Which of these words stand in none of the texts."""
    return [name for name, word in words.items() if not any(word in text for text in texts)]


async def test_temporal_sees_no_word_of_an_eject(unserved: World) -> None:
    """Payloads, failures with their stacks, summaries, details: encrypted, and readable by the CLI."""
    keys = {"a": new_key()}
    world = await with_keys(unserved, keys)
    customer = world.sandbox.seed()
    async with serving(world), codec_server(keys) as server:
        handle = await parked_once(world, customer)
        words, which = words_of(world, customer), ("--workflow-id", handle.id)
        live = {"its fingerprint": words["its fingerprint"]}
        for command in (["query", "--type", "status"], ["metadata"], ["describe"]):
            code, told = await cli(world, server.cli(TOKEN), "workflow", *command, *which)
            assert (code, unread([told], live)) == (0, [])
        assert await claimed_and_proven(world, handle, customer) is End.EJECTED
        described = await world.client.get_workflow_handle(handle.id).describe()
        stored = [*decoded(await world.history(handle)), str(described.raw_description)]
        assert unread(stored, words) == list(words)
        assert any("Encoded failure" in text for text in stored)
        assert any(f'"{customer.client_id}"' in text for text in stored), "search attributes stay plain"
        show = ("workflow", "show", *which, "--output", "json")
        code, told = await cli(world, server.cli(TOKEN), *show)
        read = WorkflowHistory.from_json(handle.id, told)
        assert (code, unread(list(decoded(read)), words)) == (0, [])
        for token in (None, TOKEN[:-1]):
            code, told = await cli(world, server.cli(token), "workflow", "metadata", *which)
            assert code == 1
            assert "Give the codec server's token" in told


async def test_keys_rotate_under_a_running_eject(unserved: World) -> None:
    """Begun with one key, ended with another: history names both, and nobody noticed."""
    old, new = {"a": new_key()}, {"b": new_key()}
    before, after = await with_keys(unserved, old), await with_keys(unserved, new | old)
    customer = unserved.sandbox.seed()
    async with serving(before):
        handle = await before.start_with_short_tasks(customer, 1)
        await before.reach(handle, Stage.AWAITING_CLAIM)
    assert await go_on(after, handle, customer) is End.EJECTED
    history = str((await handle.fetch_history()).events)
    assert all(f'key: "encryption-key-id"\n      value: "{key}"' in history for key in "ab"), history
    receipt = await starter.status(after.client, customer.client_id)
    assert isinstance(receipt, Receipt)
    assert receipt.end is End.EJECTED
    keyless = {name: value for name, value in after.environment().items() if name.startswith("TEMPORAL_")}
    ran = await run("starter.py", "status", "--client", customer.client_id, env=environment(**keyless))
    assert ran == (2, "", "A payload is encrypted with the key b: add that key to EJECT_CODEC_KEYS\n")


async def test_a_worker_without_the_key_holds_the_eject(unserved: World) -> None:
    """Its workflow task fails in a sentence that names the key; a worker that has the key goes on."""
    old, new = {"a": new_key()}, {"b": new_key()}
    asking, lacking, mended = [await with_keys(unserved, keys) for keys in (old, new, new | old)]
    customer = unserved.sandbox.seed()
    handle = await asking.start_with_short_tasks(customer, 1)
    async with serving(lacking):
        why = await task_failed(mended, handle)
    assert why == "A payload is encrypted with the key a: add that key to EJECT_CODEC_KEYS"
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert await go_on(mended, handle, customer) is End.EJECTED


async def test_a_step_whose_worker_lacks_the_key_is_tried_again(unserved: World) -> None:
    """`status --watch` shows why, decrypted; the client role's worker with the key takes it from there."""
    keys, other = {"a": new_key()}, {"b": new_key()}
    unserved.settings = unserved.settings.model_copy(update={"client_credential": ClientCredential.SIMPLE})
    world, lacking, both = [await with_keys(unserved, given) for given in (keys, other, keys | other)]
    customer = unserved.sandbox.seed()
    async with serving(world, WorkerRole.CUSTODIAN):
        async with serving(lacking, WorkerRole.CLIENT):
            handle = await world.start_with_short_tasks(customer, 1)
            why = await tried_again(both, customer)
        assert why.startswith("Failed decoding arguments: ")
        assert why.endswith("A payload is encrypted with the key a: add that key to EJECT_CODEC_KEYS")
        async with serving(world, WorkerRole.CLIENT):
            assert await claimed_and_proven(world, handle, customer) is End.EJECTED


async def tried_again(world: World, customer: Customer) -> str:
    """Wait until a step has failed once; what it met."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for step in await starter.trying(world.client, customer.client_id):
                if step.attempt > 1:
                    return step.trouble
            await asyncio.sleep(0.05)


async def test_a_command_under_an_unknown_key_is_refused_alone(unserved: World) -> None:
    """The eject answers others meanwhile; one that was taken under a key holds workers that lack it."""
    old, new = {"a": new_key()}, {"b": new_key()}
    world, both = await with_keys(unserved, old), await with_keys(unserved, new | old)
    customer = unserved.sandbox.seed()
    async with serving(world):
        handle = await world.start_with_short_tasks(customer, 1)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        command = Cancel(by="ops", why="asked to")
        with pytest.raises(starter.EjectError, match="Failed decoding arguments"):
            await starter.cancel(both.client, customer.client_id, command)
        assert (await world.told(customer)).stage is Stage.AWAITING_CLAIM
    async with serving(both):
        answer = await both.claim(customer)
    async with serving(world):
        with pytest.raises((starter.NoAnswerError, CodecError)):
            await starter.status(world.client, customer.client_id)
    async with serving(both):
        await both.prove(customer, both.proofs(answer))
        assert (await both.end(starter.handle_of(both.client, customer.client_id))).end is End.EJECTED


async def task_failed(world: World, handle: starter.EjectHandle) -> str:
    """Wait for the first failed workflow task; what it says when its text is decrypted."""
    async with asyncio.timeout(PATIENCE):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("workflow_task_failed_event_attributes"):
                failure = event.workflow_task_failed_event_attributes.failure
                told = await world.client.data_converter.decode_failure(failure)
                assert isinstance(told, ApplicationError)
                assert isinstance(told.cause, ApplicationError)
                return told.cause.message.removeprefix("CodecError: ")
    raise AssertionError("no workflow task failed")
