"""What is secret in one eject, and the texts of where it could turn up."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.client import WorkflowHistory

from contracts.sealing import Half
from tests.harness.portal import Customer
from tests.harness.search import Search
from tests.harness.world import World

SEALED = re.compile(r"-----BEGIN AGE ENCRYPTED FILE-----.*?-----END AGE ENCRYPTED FILE-----", re.S)


def secrets_of(world: World, customer: Customer, files: Iterable[Path]) -> dict[str, str]:
    """Everything of one eject that nobody but its owner or its role may see, by a name for people."""
    settings = world.settings
    assert settings.client_identity
    assert settings.receipt_key
    found = {
        "receipt key": settings.receipt_key.get_secret_value().splitlines()[1],
        "custodian key": world.sandbox.custodian_key.get_secret_value(),
        "client key": customer.api_key.get_secret_value(),
        # Tokens are made and forgotten inside an attempt; the sandbox begins each of them so.
        "session token": "sandbox-session-",
        "role identity": re.findall(r"AGE-SECRET-KEY-1\w+", settings.client_identity.get_secret_value())[0],
    }
    # A backup whose reply was lost made shares that nobody can list; each begins like the others.
    signing = json.loads(customer.generate_response.get_secret_value())
    found |= {f"any share like {curve}": made["share"][:16] for curve, made in signing.items()}
    found["any custodian share"] = "clientPartialPubKey_x"
    for curve, made in signing.items():
        found |= share_secrets(f"signing share {curve}", made["share"])
    for file in files:
        sealed = json.loads(file.read_text())
        found[f"cipher text {file.name}"] = sealed["age"].splitlines()[4]
        half = Half.model_validate_json(world.owner.identity.open(sealed["age"]) or b"")
        if half.encrypted:  # what Portal keeps of a backup from before
            found[f"stored cipher text {half.wallet}"] = half.share.splitlines()[4]
        else:
            found |= share_secrets(f"{half.role} half {half.wallet}", half.share)
        found[f"{half.role} nonce {half.wallet}"] = half.nonce
    return found


def share_secrets(name: str, share: str) -> dict[str, str]:
    """A share by its secret numbers and, in base64, by parts of its text: Temporal cuts long failures."""
    if share.startswith("{"):
        text, parts = share, {}
    else:
        text = base64.b64decode(share + "=" * (-len(share) % 4)).decode()
        parts = {f"{name} (from {at})": share[at : at + 60] for at in range(200, len(share) - 60, 400)}
    numbers = {
        k: v for k, v in json.loads(text).items() if k in ("share", "p", "q", "pailler_p", "pailler_q")
    }
    return parts | {f"{name} ({k})": str(v) for k, v in numbers.items()}


def part_of(cipher_text: str) -> str:
    """A part by which a cipher text is known: a line of age's, or 32 bytes of a secret box, as hex."""
    lines = cipher_text.splitlines()
    return lines[4] if lines[0].startswith("-----BEGIN AGE") else lines[0][64:128]


def decoded(history: WorkflowHistory) -> Iterator[str]:
    """A history as JSON, and the text of every payload in it."""
    yield history.to_json()
    for event in history.events:
        for data in _payloads(MessageToDict(event)):
            yield base64.b64decode(data).decode(errors="replace")
    for event in history.events:
        yield str(event)


def _payloads(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("data"), str) and "metadata" in value:
            yield value["data"]
        for inner in value.values():
            yield from _payloads(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _payloads(inner)


def ages(folder: Path) -> Iterator[str]:
    """Every armoured age text in the files under a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield from SEALED.findall(path.read_text(errors="replace").replace("\\n", "\n"))


def outside_sealed(folder: Path) -> Iterator[str]:
    """The text of every file under a folder without its sealed parts."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_text(errors="replace").replace("\\n", "\n").replace("\\r", "\r")
            yield SEALED.sub("", text)


def leaks(channels: Mapping[str, Iterable[str]], secrets: Mapping[str, str]) -> list[str]:
    """Which secret was found where, in which encoding; empty when nothing leaked."""
    texts = {channel: [text.encode() for text in given] for channel, given in channels.items()}
    return Search(secrets).leaks(texts)
