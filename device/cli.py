"""The device's commands. Exit codes: 0 right, 1 refused or wrong, 2 wrong usage."""

import ctypes
import resource
import sys
from pathlib import Path
from typing import Annotated

import typer

from device.backups import OwnersBackup
from device.bundle import load_claim
from device.errors import DeviceError
from device.files import private_directory, write_private
from device.handover import ADVICE, describe, write_keys
from device.identity import Identity
from device.identity import keygen as make_identity
from device.opening import cipher_texts, open_bundle
from device.proving import prove

_PR_SET_DUMPABLE = 4

# Typer's own tracebacks can show local variables, and those are keys here.
app = typer.Typer(
    help="What runs on the owner's device: it opens the bundle, rebuilds the keys and checks them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

IdentityOption = Annotated[Path, typer.Option("--identity", help="The file that keygen wrote.")]
ClaimOption = Annotated[Path, typer.Option("--claim", help="The claim's answer, as JSON.")]
FilesOption = Annotated[Path, typer.Option("--files", help="A copy of the vault's released/{eject id}/.")]


BackupOption = Annotated[
    list[Path] | None,
    typer.Option("--backup", help="With an existing backup: a file of client shares, decrypted by its app."),
]
BackupIdentityOption = Annotated[
    list[Path] | None,
    typer.Option("--backup-identity", help="With an existing backup: an age identity that decrypts it."),
]


@app.command()
def keygen(out: Annotated[Path, typer.Option(help="A new file; it is never overwritten.")]) -> None:
    """Make an age X25519 identity, and print its recipient for the eject's request."""
    identity = make_identity(out)
    typer.echo(f"recipient: {identity.recipient}")
    typer.echo(f"fingerprint: {identity.fingerprint}")
    typer.echo(f"{out} opens what is sealed to this recipient: keep it, and give it to nobody.", err=True)


@app.command("open")
def open_(  # noqa: PLR0917 (typer passes options by name)
    identity: IdentityOption,
    claim: ClaimOption,
    files: FilesOption,
    out: Annotated[Path | None, typer.Option(help="Write the keys to this directory, mode 0700.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the keys.")] = False,
    backup: BackupOption = None,
    backup_identity: BackupIdentityOption = None,
) -> None:
    """Open a bundle, rebuild every key, and check it against every published address."""
    owners = OwnersBackup.load(backup_identity or (), backup or ())
    wallets = open_bundle(Identity.load(identity), load_claim(claim), files, owners)
    written = write_keys(out, wallets) if out is not None else ()
    for wallet in wallets:
        typer.echo(describe(wallet, show=show))
    for path in written:
        typer.echo(f"The key is in {path}")
    if not written and not show:
        typer.echo("The keys were checked and not kept: name --out DIR to write them, or --show.")
    typer.echo(ADVICE)


@app.command()
def sign(
    identity: IdentityOption,
    claim: ClaimOption,
    files: FilesOption,
    backup: BackupOption = None,
    backup_identity: BackupIdentityOption = None,
) -> None:
    """Open and check as `open` does, then print the proofs as JSON for `starter.py prove`."""
    answer = load_claim(claim)
    owners = OwnersBackup.load(backup_identity or (), backup or ())
    wallets = open_bundle(Identity.load(identity), answer, files, owners)
    proofs = prove(answer, wallets)
    for wallet in wallets:
        typer.echo(describe(wallet), err=True)
    typer.echo(_AFTER_SIGNING, err=True)
    typer.echo(proofs.model_dump_json())


@app.command("cipher-texts")
def cipher_texts_(
    identity: IdentityOption,
    claim: ClaimOption,
    files: FilesOption,
    out: Annotated[Path, typer.Option(help="A directory, mode 0700, for one file for each wallet.")],
) -> None:
    """Write what Portal keeps of an existing backup, for the wallet's own app to decrypt."""
    found = cipher_texts(Identity.load(identity), load_claim(claim), files)
    if not found:
        raise DeviceError("This bundle holds no cipher text: open it as it is, with --backup where needed.")
    private_directory(out)
    for wallet, text in found.items():
        write_private(out / f"{wallet}.cipher-text", text)
        typer.echo(f"The cipher text of wallet {wallet} is in {out / f'{wallet}.cipher-text'}")


_AFTER_SIGNING = (
    "Each key was rebuilt and checked before it signed. Keep the identity and the files until the keys "
    "are written with `open --out`: once proven, the eject cannot be undone."
)


def main() -> int:
    """Run the command line; every error is one sentence on stderr, and never a traceback."""
    # A core dump of this process would hold keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not bind a kernel that pipes cores into a program; this does.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        app()
    except DeviceError as error:
        problem = str(error)
    except Exception as error:  # its text and traceback may hold a share
        problem = (
            f"The device stopped at an unexpected {type(error).__name__}, a fault of its own: report it."
        )
    else:
        return 0
    typer.echo(problem, err=True)
    return 1
