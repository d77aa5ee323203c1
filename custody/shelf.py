"""Reading receipts where they lie, one client's at a time."""

from datetime import datetime, timedelta

from pydantic import ValidationError

from contracts.chain import ReceiptFile
from contracts.receipt import Receipt
from contracts.stages import End
from custody.vault import Vault

# Portal's own mark, in whichever precision its calls show it.
SAME = timedelta(seconds=1)


async def receipts_of(vault: Vault, client_id: str) -> list[Receipt]:
    """A client's receipts, the oldest first; what is none is left to `verify-receipt`."""
    return [receipt for _, receipt in await named_receipts_of(vault, client_id)]


async def named_receipts_of(vault: Vault, client_id: str) -> list[tuple[str, Receipt]]:
    """The same, each with its name in the vault."""
    found = []
    for name in await vault.names(f"receipts/{client_id}/"):
        written = await vault.read(name)
        try:
            found.append((name, ReceiptFile.model_validate_json(written or b"").receipt))
        except ValidationError:
            continue
    return sorted(found, key=lambda named: named[1].times.ended)


def says_ejected(receipt: Receipt, at: datetime, *ends: End) -> bool:
    """Whether a receipt with one of these ends states this very mark of Portal's."""
    return receipt.end in ends and receipt.ejected_at is not None and abs(receipt.ejected_at - at) < SAME


async def ejected_by_us(vault: Vault, client_id: str, at: datetime) -> bool:
    """Whether a receipt says that an eject of ours left this mark."""
    return any(says_ejected(each, at, End.EJECTED) for each in await receipts_of(vault, client_id))
