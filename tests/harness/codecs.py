"""Keys of the payload codec, worlds whose Temporal sees only cipher text, and the codec server."""

import base64
import dataclasses
import json
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from runtime.codec import EjectCodec
from runtime.development import free_port, line_of, process
from tests.harness.processes import environment
from tests.harness.temporal import connected
from tests.harness.world import World

TOKEN = secrets.token_hex(32)
UI = "http://localhost:8080"


def new_key() -> bytes:
    """A key of its own."""
    return secrets.token_bytes(32)


def as_setting(keys: Mapping[str, bytes]) -> str:
    """Keys as EJECT_CODEC_KEYS holds them."""
    return json.dumps({name: base64.b64encode(key).decode() for name, key in keys.items()})


async def with_keys(world: World, keys: Mapping[str, bytes]) -> World:
    """The same world, whose client, worker and processes encrypt with the first of these keys."""
    client = await connected(world.client.namespace, EjectCodec(keys))
    settings = world.settings.model_copy(update={"codec_keys": SecretStr(as_setting(keys))})
    return dataclasses.replace(world, client=client, settings=settings)


@dataclass(frozen=True)
class CodecServer:
    """A running codec server."""

    url: str

    def cli(self, token: str | None) -> dict[str, str]:
        """How the `temporal` CLI is told of it."""
        auth = {} if token is None else {"TEMPORAL_CODEC_AUTH": f"Bearer {token}"}
        return {"TEMPORAL_CODEC_ENDPOINT": self.url} | auth


@asynccontextmanager
async def codec_server(keys: Mapping[str, bytes], origin: str = UI) -> AsyncIterator[CodecServer]:
    """`codec_server.py` as a process, once it serves."""
    address = f"127.0.0.1:{free_port()}"
    env = environment(
        EJECT_CODEC_KEYS=as_setting(keys),
        EJECT_CODEC_TOKEN=TOKEN,
        EJECT_CODEC_ORIGINS=json.dumps([origin]),
        EJECT_CODEC_ADDRESS=address,
    )
    command = ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", sys.executable, "codec_server.py"]
    async with process(*command, env=env) as running:
        while "codec_server.serving" not in await line_of(running):
            pass
        yield CodecServer(f"http://{address}")
