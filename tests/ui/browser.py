"""A real Chromium without a window, driven through its DevTools pipe: no port, no driver, no dependency."""

import asyncio
import base64
import fcntl
import itertools
import json
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root otherwise; it sees nothing but this machine's own server
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--remote-debugging-pipe",
)
# The pipe is on the descriptors 3 and 4.
_LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# Details that people wrote are shown in frames of the same origin.
_EACH = """
[document, ...Array.from(document.querySelectorAll("iframe"), frame => frame.contentDocument)]
    .filter(one => one && one.body).map(one => one.body.%s).join("\\n").replace(/\\u00a0/g, " ")
"""
PATIENCE = 30
_LARGEST = 64 * 1024 * 1024


class Page:
    """The one page of a browser."""

    def __init__(self, replies: asyncio.StreamReader, commands: int) -> None:
        self._replies = replies
        self._commands = commands
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._width, self._height = 0, 0

    async def attach(self) -> None:
        """Speak to the page that the browser has opened."""
        made = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        self._session = attached["sessionId"]

    async def size(self, width: int, height: int) -> None:
        """Give the page its size."""
        self._width, self._height = width, height
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def open(self, url: str, *words: str) -> str:
        """Open an address and wait until these words can be read on the page; the text of the page."""
        await self._call("Page.navigate", url=url)
        text = ""
        try:
            async with asyncio.timeout(PATIENCE):
                while not text or not all(word in text for word in words):
                    await asyncio.sleep(0.2)
                    text = await self.text()
        except TimeoutError:
            missing = [word for word in words if word not in text]
            raise AssertionError(f"{url} never showed {missing}; it shows:\n{text}") from None
        return text

    async def settled(self) -> str:
        """The text of the page once it stays the same for a moment, or after some seconds of change."""
        text = await self.text()
        for _ in range(10):
            await asyncio.sleep(0.4)
            before, text = text, await self.text()
            if text == before:
                break
        return text

    async def text(self) -> str:
        """What a person can read on the page and in its frames."""
        return await self.run(_EACH % "innerText")

    async def markup(self) -> str:
        """The page and its frames as they are now, with what is folded or hidden."""
        return await self.run(_EACH % "outerHTML")

    async def run(self, script: str) -> str:
        """The value of an expression in the page, as text."""
        answer = await self._call("Runtime.evaluate", expression=script, awaitPromise=True)
        return str(answer["result"].get("value", ""))

    async def picture(self) -> bytes:
        """What is seen, as PNG."""
        clip = {"x": 0, "y": 0, "width": self._width, "height": self._height, "scale": 0.8}
        shot = await self._call("Page.captureScreenshot", format="png", clip=clip)
        return base64.b64decode(shot["data"])

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(PATIENCE):
            while True:
                reply = json.loads((await self._replies.readuntil(b"\0"))[:-1])
                if reply.get("id") == number:
                    assert "error" not in reply, (method, reply)
                    answer: dict[str, Any] = reply["result"]
                    return answer


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A browser with a fresh profile, ended by its own id with the block."""
    assert CHROMIUM, "no Chromium"
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # Above the two descriptors that the launcher overwrites.
    given = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (theirs_in, theirs_out)]
    log = (profile.parent / "chromium.log").open("wb")
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _LAUNCH, *map(str, given)),
        *(CHROMIUM, *FLAGS, f"--user-data-dir={profile}"),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=log,
        pass_fds=given,
        start_new_session=True,
    )
    for one in (*given, theirs_in, theirs_out):
        os.close(one)
    replies = asyncio.StreamReader(limit=_LARGEST)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(replies), os.fdopen(ours_in, "rb")
    )
    try:
        page = Page(replies, ours_out)
        await page.attach()
        yield page
    finally:
        transport.close()
        os.close(ours_out)
        log.close()
        with suppress(ProcessLookupError):
            running.terminate()
        try:
            await asyncio.wait_for(running.wait(), 10)
        except TimeoutError:
            running.kill()
            await running.wait()
