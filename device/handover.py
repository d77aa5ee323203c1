"""How keys and addresses reach the owner: files that only the owner can read, and words."""

from collections.abc import Iterable
from pathlib import Path

from contracts.wallets import Curve
from device.check import AddressCheck
from device.errors import DeviceError
from device.export import FORMS
from device.files import private_directory, write_private
from device.opening import OpenedWallet

ADVICE = (
    "The shares of these keys passed through other people's machines: sweep the funds to a fresh key that "
    "was never shared."
)

_SUFFIX = {Curve.SECP256K1: "secp256k1-hex.txt", Curve.ED25519: "ed25519-scalar.txt"}


def write_keys(directory: Path, wallets: Iterable[OpenedWallet]) -> tuple[Path, ...]:
    """Write each key to `{wallet id}.{form}` in a directory of mode 0700, files of mode 0600.

    Nothing is overwritten: where one of the files exists, none is written.
    """
    private_directory(directory)
    files = [(directory / f"{one.wallet.id}.{_SUFFIX[one.wallet.curve]}", one.text) for one in wallets]
    for path, _ in files:
        if path.exists():
            raise DeviceError(f"{path} exists already and was left as it is: name a new directory.")
    for path, text in files:
        write_private(path, f"{text}\n")
    return tuple(path for path, _ in files)


def describe(one: OpenedWallet, *, show: bool = False) -> str:
    """A wallet in words, rebuilt addresses beside Portal's; the key only where `show` asks for it."""
    lines = [
        f"Wallet {one.wallet.id} ({one.wallet.curve}): rebuilt, and it leads to Portal's public key.",
        *(_line(address) for address in one.addresses),
        f"  form of the key: {FORMS[one.wallet.curve]}",
    ]
    if show:
        lines.append(f"  key: {one.text}")
    return "\n".join(lines)


def _line(address: AddressCheck) -> str:
    # A namespace is the custodian's word, in any letters: the terminal is shown no control characters.
    name = "".join(letter if letter.isprintable() else "?" for letter in address.namespace)
    if address.rebuilt is None:
        return f"  {name}: not checked, the device has no rule for it | Portal's {address.published}"
    return f"  {name}: rebuilt {address.rebuilt} | Portal's {address.published} | right"
