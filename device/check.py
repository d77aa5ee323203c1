"""Whether a text opens the wallet that it is said to open: asked of the very text to be exported."""

from dataclasses import dataclass

from contracts.wallets import Wallet
from device.addresses import DERIVED, MAIN
from device.curves import public_key, stated_key
from device.errors import DeviceError
from device.export import read_text


@dataclass(frozen=True)
class AddressCheck:
    """One published address beside the one rebuilt; `rebuilt` is None where the device knows no rule."""

    namespace: str
    published: str
    rebuilt: str | None


def check(wallet: Wallet, text: str) -> tuple[AddressCheck, ...]:
    """Decode an export text and derive from it the public key and every published address of the wallet.

    Raises DeviceError at the first that differs from the claim's. A namespace without a rule for the
    wallet's curve is answered as unchecked. The wallet's own address comes first.
    """
    key = public_key(wallet.curve, read_text(wallet.curve, text))
    if key != stated_key(wallet.curve, wallet.public_key):
        raise DeviceError("the rebuilt key is not the key of this wallet: nothing was exported; claim again.")
    rules = DERIVED[wallet.curve]
    main = MAIN[wallet.curve]
    published = [(main, wallet.address), *wallet.addresses.items()]
    if wallet.addresses.get(main) == wallet.address:
        published.pop(0)
        published.sort(key=lambda item: item[0] != main)
    checks = []
    for namespace, address in published:
        rebuilt = rules[namespace](key) if namespace in rules else None
        if rebuilt is not None and _plain(namespace, rebuilt) != _plain(namespace, address):
            raise DeviceError(
                f"the rebuilt key does not lead to the published {namespace} address: "
                "nothing was exported; ask the custodian."
            )
        checks.append(AddressCheck(namespace=namespace, published=address, rebuilt=rebuilt))
    return tuple(checks)


def _plain(namespace: str, address: str) -> str:
    # EIP-55 writes a checksum in the case of the letters; the account is the same.
    return address.lower() if namespace == "eip155" else address
