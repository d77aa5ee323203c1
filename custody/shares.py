"""What may be read of a share without rebuilding anything: whose it is and which pair it belongs to.

The formats are those of Portal's SDKs: a client share is base64 without padding of JSON, a custodian
backup share is JSON. Nothing here returns the share's number, and no error repeats any of its text.
"""

import base64
import binascii
import json
from typing import Any

from pydantic import SecretStr, ValidationError

from contracts.failures import Failure, StepError
from contracts.wallets import Curve, PublicKey, Wallet

# What reading a text that is no share can end in; RecursionError is what JSON nested too deep does.
_MALFORMED = (KeyError, TypeError, ValueError, RecursionError)


def check_client_share(share: SecretStr, pair_id: str, wallet: Wallet) -> None:
    """Refuse a new client backup share that names another pair or belongs to another key."""
    try:
        parsed = _parse(share)
        pair, key = parsed["backupSharePairId"], _public_key(parsed)
    except _MALFORMED:
        raise StepError(
            Failure.SHARE_UNREADABLE, f"The backup share of wallet {wallet.id} does not parse"
        ) from None
    if pair != pair_id:
        raise StepError(
            Failure.PAIR_MISMATCH, f"The backup share of wallet {wallet.id} names another pair than its reply"
        )
    if key != wallet.public_key:
        raise StepError(
            Failure.PAIR_MISMATCH, f"The backup share of wallet {wallet.id} belongs to another key"
        )


def check_custodian_share(share: SecretStr, pair_id: str, wallet_id: str) -> None:
    """Refuse a custodian backup share that is not of the pair that was backed up."""
    try:
        parsed = json.loads(share.get_secret_value())
        pair = parsed["backupSharePairId"]
        # Other scripts have digits too, and the device reads none of them.
        whole = all(
            isinstance(parsed[name], str) and parsed[name].isascii() and parsed[name].isdigit()
            for name in ("share", "clientBk")
        )
    except _MALFORMED:
        whole, pair = False, None
    if not whole:
        raise StepError(
            Failure.SHARE_UNREADABLE, f"The custodian share of wallet {wallet_id} does not parse"
        ) from None
    if pair != pair_id:
        raise StepError(
            Failure.PAIR_MISMATCH,
            f"The custodian share of wallet {wallet_id} is not of the pair that was backed up",
        )


def check_deposit(generate_response: SecretStr, wallets: tuple[Wallet, ...] | None = None) -> None:
    """Refuse signing shares that are not the body of a generate reply, or (given wallets) not these wallets'.

    Before a deposit nobody knows the wallets yet; before a backup they must match.
    """
    try:
        body = json.loads(generate_response.get_secret_value())
        keys = {
            curve: _public_key(_parse(SecretStr(body[curve]["share"]))) for curve in Curve if curve in body
        }
        named = all(isinstance(body[curve]["id"], str) for curve in keys)
    except _MALFORMED:
        keys, named = {}, False
    if not keys or not named:
        raise StepError(
            Failure.DEPOSIT_UNREADABLE, "The deposited signing shares are not the body of a generate reply"
        ) from None
    for wallet in wallets or ():
        if keys.get(wallet.curve) != wallet.public_key:
            raise StepError(
                Failure.DEPOSIT_UNREADABLE,
                f"The deposited {wallet.curve} signing share is not that of wallet {wallet.id}",
            )


def _parse(share: SecretStr) -> dict[str, Any]:
    text = share.get_secret_value()
    try:
        parsed = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("not base64 of JSON") from None
    if not isinstance(parsed, dict):
        raise TypeError("not an object")
    return parsed


def _public_key(parsed: dict[str, Any]) -> PublicKey:
    """`pubkey{X,Y}` of a share; its keys occur in either case."""
    try:
        lower = {str(name).lower(): value for name, value in parsed["pubkey"].items()}
        return PublicKey(x=lower["x"], y=lower["y"])
    except ValidationError:
        raise ValueError("no coordinates") from None
    except AttributeError:
        raise TypeError("no point") from None
