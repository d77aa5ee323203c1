"""What the client role reads from the deposits of a client."""

from dataclasses import dataclass

from pydantic import SecretStr

from contracts.failures import Failure, StepError
from contracts.names import api_key_name, deposit_name
from custody.sealing import open_deposit
from custody.vault import Vault


@dataclass(frozen=True)
class Deposits:
    """Deposits as the client role opens them; read anew for each attempt, so that a person can mend them."""

    vault: Vault
    identities: SecretStr

    async def signing_shares(self, client_id: str) -> SecretStr:
        """The body of the client's generate reply."""
        return await self._open(
            deposit_name(client_id), f"No signing shares were deposited for client {client_id}"
        )

    async def api_key(self, client_id: str) -> SecretStr:
        """The client's own API key."""
        return await self._open(api_key_name(client_id), f"No API key was deposited for client {client_id}")

    async def _open(self, name: str, missing: str) -> SecretStr:
        sealed = await self.vault.read(name)
        if sealed is None:
            raise StepError(Failure.DEPOSIT_MISSING, missing)
        return open_deposit(sealed, self.identities)
