"""The wallets of a client as Portal shows them, in the form that an eject compares."""

from pydantic import ValidationError

from contracts.failures import Failure, StepError
from contracts.wallets import Wallet, difference
from custody.addresses import address
from portal.replies import ClientReply


def wallets_of(client: ClientReply) -> tuple[Wallet, ...]:
    """Every wallet that has a key, with the address that stands in its challenge."""
    found = []
    for wallet in client.wallets:
        if wallet.public_key is None:
            continue
        try:
            derived = address(wallet.curve, wallet.public_key)
        except OverflowError:
            raise StepError(
                Failure.REPLY_UNREADABLE, f"The public key of wallet {wallet.id} is no point of its curve"
            ) from None
        try:
            found.append(
                Wallet(
                    id=wallet.id,
                    curve=wallet.curve,
                    public_key=wallet.public_key,
                    address=derived,
                    addresses=client.addresses(wallet.curve),
                )
            )
        except ValidationError:
            raise StepError(
                Failure.REPLY_UNREADABLE, f"A published address for wallet {wallet.id} has no known form"
            ) from None
    return tuple(found)


def completed_of(client: ClientReply) -> dict[str, tuple[str, ...]]:
    """The completed backup share pairs of every wallet that has a key, by wallet."""
    return {
        wallet.id: tuple(sorted(pair.id for pair in wallet.backup_share_pairs if pair.completed))
        for wallet in client.wallets
        if wallet.public_key is not None
    }


def require_client(client: ClientReply, client_id: str) -> None:
    """Refuse a reply about somebody else, such as a wrong deposited API key leads to."""
    if client.id != client_id:
        raise StepError(Failure.CREDENTIAL_REJECTED, "Portal answered with another client than this one")


def require_unchanged(client: ClientReply, client_id: str, wallets: tuple[Wallet, ...]) -> None:
    """Refuse to go on when the client is not, wallet by wallet, the one that was checked."""
    require_client(client, client_id)
    if changed := difference(wallets, wallets_of(client)):
        raise StepError(
            Failure.WALLETS_CHANGED, f"The client's wallets are not those that were checked: {changed}"
        )
