"""Writing receipts: each into a file of its own, and its digest into the next entry of one chain.

Entries are create-only and numbered without a hole, which makes appending a compare-and-swap: whoever
creates number n has seen n-1. A receipt's file says after which entry it was made, and whoever appends it, at
first or again, looks at every entry behind that one; so it gets one entry, however many attempts there are
and wherever they were cut short.
"""

import asyncio
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.chain import ENTRY, RECEIPT
from contracts.failures import Failure, StepError
from contracts.names import chain_name, receipt_name
from contracts.receipt import Receipt
from custody.keys import public_key
from custody.signing import Trust, parsed, sha256, signed
from custody.vault import Vault

# Entries that were seen are not read again; beyond so many, the oldest are.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Link:
    """What is remembered of an entry: the SHA-256 of its bytes, and of the receipt that it names."""

    digest: str
    receipt: str | None


@dataclass(frozen=True)
class Written:
    """Where a receipt lies, and its entry."""

    name: str
    number: int
    digest: str


class Chain:
    """The chain in a vault, as one process sees it; other processes may append at the same time."""

    def __init__(self, vault: Vault, key: Ed25519PrivateKey | None = None) -> None:
        self._vault = vault
        self._key = key
        self._links: dict[int, Link] = {}
        self._top = 0
        # Within one process attempts would only take turns at losing; across processes the vault decides.
        self._appending = asyncio.Lock()

    async def head(self) -> int:
        """The number of the last entry, 0 where there is none: from the last one known, in growing steps."""
        low, step = self._top, 1
        while await self._look(low + step) is not None:
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            if await self._look(middle) is None:
                high = middle
            else:
                low = middle
        return low

    async def append(self, name: str, receipt: str, after: int) -> Written:
        """Name a receipt in the chain, once: `receipt` is its digest, `after` what its file says."""
        previous = await self._look(after) if after > 0 else None
        if previous is None:
            # A chain that was cut goes on at its end: only a head that was noted before can tell.
            after = max(min(after, await self.head()), 0)
            previous = await self._look(after) if after else None
        number = after + 1
        while True:
            async with self._appending:
                while (link := self._links.get(number)) is not None and link.receipt != receipt:
                    previous, number = link, number + 1
                if link is None:
                    fields = {
                        "number": number,
                        "previous": previous.digest if previous else None,
                        "receipt": receipt,
                        "name": name,
                    }
                    mine = signed(ENTRY, fields, self._key)
                    link = self._remember(number, await self._vault.create(chain_name(number), mine))
            if link.receipt == receipt:
                return Written(name, number, link.digest)
            previous, number = link, number + 1

    async def _look(self, number: int) -> Link | None:
        """An entry, from memory or from the vault; None where there is none."""
        if number in self._links:
            return self._links[number]
        entry = await self._vault.read(chain_name(number))
        return None if entry is None else self._remember(number, entry)

    def _remember(self, number: int, entry: bytes) -> Link:
        # What is no entry of ours is chained on to all the same: whoever verifies the chain will name it.
        link = Link(sha256(entry), (parsed(entry) or {}).get("receipt"))
        self._links[number] = link
        self._top = max(self._top, number)
        if len(self._links) > _REMEMBERED:
            del self._links[next(iter(self._links))]
        return link


class Receipts:
    """Writes receipts and chains them; with a key, signed."""

    def __init__(self, vault: Vault, key: Ed25519PrivateKey | None = None) -> None:
        self._vault = vault
        self._key = key
        self._chain = Chain(vault, key)

    async def write(self, receipt: Receipt, run: str) -> Written:
        """Write a receipt once and never change it; what an earlier attempt of the same run wrote stands.

        A run that was reset and ended otherwise has a file of its own, and what the run before it may have
        left without an entry gets one first.
        """
        first = receipt_name(receipt.client_id, receipt.eject_id)
        there = await self._create(first, receipt, run)
        if self._stands(there, receipt, run):
            return await self._named(first, there)
        if self._is_ours(there):
            await self._named(first, there)
        own = receipt_name(receipt.client_id, receipt.eject_id, run)
        there = await self._create(own, receipt, run)
        if not self._stands(there, receipt, run):
            raise StepError(
                Failure.VAULT_UNAVAILABLE, f"The vault's {own} is not this run's receipt: move it away"
            )
        return await self._named(own, there)

    async def _create(self, name: str, receipt: Receipt, run: str) -> bytes:
        if (there := await self._vault.read(name)) is not None:
            return there
        fields = {"receipt": receipt.model_dump(mode="json"), "run": run, "after": await self._chain.head()}
        return await self._vault.create(name, signed(RECEIPT, fields, self._key))

    async def _named(self, name: str, there: bytes) -> Written:
        after = (parsed(there) or {}).get("after")
        return await self._chain.append(name, sha256(there), after if isinstance(after, int) else 0)

    def _stands(self, there: bytes, receipt: Receipt, run: str) -> bool:
        """Whether a file says just this, or is what this run said before.

        A parked step's input has gained its own retry when it runs again, so the content alone would not do;
        nor would the run alone, which anybody could write there before us.
        """
        fields = parsed(there) or {}
        same = fields.get("receipt") == receipt.model_dump(mode="json")
        return same or (fields.get("run") == run and self._is_ours(there))

    def _is_ours(self, there: bytes) -> bool:
        fields = parsed(there)
        trust = Trust({public_key(self._key)}) if self._key else Trust(unsigned=True)
        return fields is not None and trust.problem(RECEIPT, fields) is None
