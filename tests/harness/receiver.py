"""A service that is told of ejects: it verifies every notice and keeps it."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from runtime.development import free_port


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests; afterwards everything is taken with 204."""

    port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    answers: list[int] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """Where notices are sent."""
        return f"http://127.0.0.1:{self.port}/hooks"

    def types(self) -> list[str]:
        """What was told, in the order of the notices' numbers."""
        order = sorted(self.taken, key=lambda notice: int(notice.rpartition("-")[2]))
        return [self.taken[notice]["type"].removeprefix("eject.") for notice in order]

    async def told_of(self, *types: str) -> None:
        """Wait until each of these was told, of any eject."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: set(types) <= set(self.types()))

    async def until(self, *types: str) -> None:
        """Wait until just these were told."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: self.types() == list(types))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        """Take notices until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
            }
            body = (await reader.readexactly(int(headers["content-length"]))).decode()
            status = self.answers.pop(0) if self.answers else 204
            try:
                told = Webhook(self.secret).verify(body, headers)
            except WebhookVerificationError:
                status = 401
            async with self.changed:
                self.bodies.append(head + body)
                if status == 204:
                    if headers["webhook-id"] in self.taken:
                        self.repeated.append(headers["webhook-id"])
                    self.taken[headers["webhook-id"]] = json.loads(json.dumps(told))
                else:
                    self.refused.append(headers["webhook-id"])
                self.changed.notify_all()
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        finally:
            writer.close()
