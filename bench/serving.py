"""How the driver speaks to an engine that lives in its worker's process: a line of JSON for each order."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping

Order = Callable[[str], Awaitable[None]]


async def serve(orders: Mapping[str, Order]) -> None:
    """Answer `[number, order, client id]` with the number once the order is done, or with what failed.

    The port stands on standard output once it listens.
    """

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def done(number: int, order: str, client_id: str) -> None:
            failed = None
            try:
                await orders[order](client_id)
            except Exception as error:
                failed = f"{type(error).__name__}: {error}"
            writer.write(json.dumps([number, failed]).encode() + b"\n")

        async with asyncio.TaskGroup() as group:
            while line := await reader.readline():
                group.create_task(done(*json.loads(line)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


class Orders:
    """The driver's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._number = 0
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def connected(cls, port: int) -> "Orders":
        """To a worker that serves at this port."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def give(self, order: str, client_id: str) -> None:
        """Have an order done; RuntimeError with what failed."""
        self._number += 1
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps([self._number, order, client_id]).encode() + b"\n")
        await answer

    def close(self) -> None:
        """Let go."""
        self._hearing.cancel()
        self._writer.close()

    async def _hear(self) -> None:
        while line := await self._reader.readline():
            number, failed = json.loads(line)
            answer = self._waiting.pop(number)
            if failed is None:
                answer.set_result(None)
            else:
                answer.set_exception(RuntimeError(failed))
