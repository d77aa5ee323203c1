"""What a custodian puts into the vault before an eject, sealed to the client role."""

from pydantic import SecretStr

from contracts.failures import StepError
from contracts.names import api_key_name, deposit_name
from custody.sealing import is_recipient, seal_deposit
from custody.shares import check_deposit
from custody.vault import Vault
from ejects.service import EjectError


async def deposit(vault: Vault, client_id: str, generate_response: SecretStr, recipient: str) -> None:
    """Deposit a client's signing shares: the body of its generate reply."""
    try:
        check_deposit(generate_response)
    except StepError as error:
        raise EjectError(f"{error.sentence}: deposit the JSON that generate answered") from None
    await _seal(vault, deposit_name(client_id), generate_response, recipient)


async def deposit_api_key(vault: Vault, client_id: str, api_key: SecretStr, recipient: str) -> None:
    """Deposit a client's own API key, so that the client role needs no other credential."""
    text = api_key.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or not text or " " in text:
        raise EjectError("That is no API key: deposit the one line that Portal gave for this client")
    await _seal(vault, api_key_name(client_id), SecretStr(text), recipient)


async def _seal(vault: Vault, name: str, plain: SecretStr, recipient: str) -> None:
    """Replace what was deposited before: a person may have to mend it."""
    if not is_recipient(recipient):
        raise EjectError("EJECT_CLIENT_RECIPIENT is not an age public key: set the client role's")
    try:
        await vault.replace(name, seal_deposit(plain, recipient))
    except StepError as error:
        raise EjectError(error.sentence) from None
