"""What the worker and Portal would have made: split keys, share texts, sealed files, a claim."""

import base64
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from contracts.base import canonical
from contracts.names import Role, released_name
from contracts.owner import ClaimAnswer, ClaimedFile
from contracts.sealing import Half, SealedFile, bundle_digest, commitment, fingerprint, opened, reference
from contracts.wallets import Curve, Wallet
from device.errors import DeviceError
from device.identity import Identity
from device.opening import open_bundle
from tests.device import second
from tests.properties.odd import shown

EJECT = "0198c1f0-6d7e-7a51-9d2c-8c8a3d2b6f10"
CLIENT = "client-1"


@dataclass
class Made:
    """A wallet, its secret, and its two share objects before they become text."""

    wallet: Wallet
    scalar: int
    pair: str
    client: dict[str, object]
    custodian: dict[str, object]
    padded: bool = False

    def share(self, role: Role) -> str:
        """The share text as Portal gives it out."""
        if role is Role.CUSTODIAN:
            return json.dumps(self.custodian)
        text = base64.b64encode(json.dumps(self.client).encode()).decode()
        return text if self.padded else text.rstrip("=")

    def secrets(self) -> list[str]:
        """Every text that must never be seen in an error, a repr or a log."""
        little = self.scalar.to_bytes(32, "little")
        texts = [self.share(role) for role in Role]
        texts += [str(half["share"]) for half in (self.client, self.custodian)]
        texts += [str(self.scalar), f"{self.scalar:064x}", little.hex(), second.base58(little)]
        # A damaged share can be a short word, which an error may hold by chance.
        return [text for text in texts if len(text) > 20]


def make(
    curve: Curve,
    scalar: int,
    name: str,
    *,
    upper: bool = True,
    below: Callable[[int], int] = secrets.randbelow,
) -> Made:
    """Split a scalar 2 of 2: y = scalar + slope * x at two random places, written crosswise."""
    order = second.ORDER[curve]
    slope, client_x, custodian_x = (1 + below(order - 1) for _ in range(3))
    key = second.public_key(curve, scalar)
    published = second.addresses(curve, key)
    pair, ssid = f"pair-{name}", str(below(2**256))
    x, rank = ("X", "Rank") if upper else ("x", "rank")
    wallet = Wallet(
        id=f"wallet-{name}",
        curve=curve,
        public_key=key,
        address=published["eip155" if curve is Curve.SECP256K1 else "solana"],
        addresses=published,
    )
    client: dict[str, object] = {
        "clientId": "",
        "backupSharePairId": pair,
        "share": str((scalar + slope * client_x) % order),
        "ssid": ssid,
        "pubkey": {"X": key.x, "Y": key.y},
        "bks": {"client": {x: str(client_x), rank: "0"}, "server": {x: str(custodian_x), rank: "0"}},
    }
    custodian: dict[str, object] = {
        "backupSharePairId": pair,
        "clientBk": str(client_x),
        "serverBk": str(custodian_x),
        "clientId": CLIENT,
        "share": str((scalar + slope * custodian_x) % order),
        "ssid": ssid,
        "x": key.x,
        "y": key.y,
    }
    return Made(wallet=wallet, scalar=scalar, pair=pair, client=client, custodian=custodian)


def random_wallet(curve: Curve, name: str) -> Made:
    """A wallet with a random key."""
    return make(curve, 1 + secrets.randbelow(second.ORDER[curve] - 1), name)


def pack(
    directory: Path,
    recipient: str,
    wallets: Sequence[Made],
    *,
    change: Callable[[Half], Half] = lambda half: half,
) -> ClaimAnswer:
    """Seal both halves of each wallet to the recipient, write the files, and answer the claim.

    `change` alters a half before it is sealed, as only a custodian gone wrong could.
    """
    files, references = [], []
    for made in wallets:
        for role in Role:
            nonce = secrets.token_hex(32)
            half = Half(
                role=role,
                client_id=CLIENT,
                wallet=made.wallet.id,
                pair=made.pair,
                nonce=nonce,
                share=made.share(role),
            )
            sealed = SealedFile(
                wallet=made.wallet.id,
                pair=made.pair,
                commitment=commitment(opened(nonce)),
                age=encrypt(recipient, canonical(change(half))),
            )
            write(directory, role, sealed)
            found = reference(role, sealed)
            references.append(found)
            name = released_name(EJECT, role, made.wallet.id)
            files.append(ClaimedFile(name=name, **found.model_dump(exclude={"commitment"})))
    return ClaimAnswer(
        eject_id=EJECT,
        client_id=CLIENT,
        recipient=recipient,
        fingerprint=fingerprint(recipient),
        closes=datetime(2026, 1, 1, tzinfo=UTC),
        wallets=tuple(made.wallet for made in wallets),
        files=tuple(files),
        bundle=bundle_digest(references),
    )


def encrypt(recipient: str, plain: bytes) -> str:
    """Armoured age text."""
    sealed: bytes = pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient)], armored=True)
    return sealed.decode()


def path_of(directory: Path, role: Role, wallet: str) -> Path:
    """Where a sealed half lies in the copy of the released files."""
    return directory / role / f"{wallet}.json"


def write(directory: Path, role: Role, file: SealedFile) -> None:
    """Write a sealed half as the vault does."""
    path = path_of(directory, role, file.wallet)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical(file))


def read(directory: Path, role: Role, wallet: str) -> SealedFile:
    """Read a sealed half back."""
    return SealedFile.model_validate_json(path_of(directory, role, wallet).read_bytes())


def leaked(error: BaseException, hidden: Sequence[str]) -> list[str]:
    """Which of the hidden texts an exception holds, in itself or in any exception chained to it."""
    text = shown(error)
    return [secret for secret in hidden if secret in text]


def refuse(identity: Identity, claim: ClaimAnswer, files: Path, made: Made, words: str) -> None:
    """The bundle is refused in these words, and nothing of the wallet's shares or key can be seen."""
    with pytest.raises(DeviceError, match=words) as caught:
        open_bundle(identity, claim, files)
    assert leaked(caught.value, made.secrets()) == []
    assert "\n" not in str(caught.value)
