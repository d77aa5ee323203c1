"""The Temporal UI shows an encrypted eject to whoever signed in at the codec server, and to nobody else."""

from pathlib import Path

import pytest

from contracts.stages import Stage
from tests.harness.codecs import TOKEN, as_setting, codec_server, new_key
from tests.harness.world import World
from tests.ui.browser import CHROMIUM, browser
from tests.ui.test_ui import UI_PORT, Reader, address, seen

__all__ = ["seen"]

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Keys that the demo's processes encrypt with."""
    made = {"a": new_key()}
    monkeypatch.setenv("EJECT_CODEC_KEYS", as_setting(made))
    return made


async def test_the_ui_decrypts_for_who_signed_in(
    keys: dict[str, bytes],
    seen: World,
    tmp_path: Path,
) -> None:
    """Cipher text without the codec server and without its password; after signing in, the request."""
    customer = seen.sandbox.seed()
    reason, recipient = "moves house to Zanzibar", seen.owner.identity.recipient
    handle = await seen.start(customer, approvals=1, reason=reason)
    await seen.reach(handle, Stage.AWAITING_APPROVAL)
    page_of_it = f"{address(handle)}/history"
    async with (
        codec_server(keys, f"http://127.0.0.1:{UI_PORT}") as server,
        browser(tmp_path / "profile") as page,
    ):
        reader = Reader(page, {})
        await page.size(1440, 1350)
        await reader.see("no codec server", page_of_it, handle.id, "RUNNING")
        await reader.remember("overrideRemoteCodecConfiguration", True)
        await reader.remember("endpoint", server.url)
        await reader.see("not signed in", page_of_it, handle.id, "RUNNING")
        for shown in reader.pages.values():
            assert not any(reason in text or recipient in text for text in shown)
        await page.open(server.url.replace("//", f"//anybody:{TOKEN}@"), "This browser now reads payloads")
        await page.open(page_of_it, handle.id)
        await reader.remember("includeCredentials", True)
        await reader.see("signed in", page_of_it, handle.id, "RUNNING", reason, recipient)
    await seen.cancel(customer)
    assert (await handle.result()).end == "cancelled"
