"""Commands of `starter.py` that need neither Temporal nor settings: making a key, verifying receipts."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from contracts.chain import ReceiptFile
from custody.audit import Audit, Head
from custody.keys import make_key
from custody.receipts import read_receipt
from custody.signing import Trust
from ejects.service import EjectError

# More than anybody reads; what is wrong with one entry is often wrong with all behind it.
MOST_PROBLEMS = 100

offline = typer.Typer()


@offline.command("make-key")
def _make_key(out: Annotated[Path, typer.Option(help="A new file; it is never overwritten.")]) -> None:
    """Make an Ed25519 key file, for an approver or for receipts, and print its public key."""
    try:
        typer.echo(make_key(out))
    except OSError as error:
        raise EjectError(f"{out} cannot be made ({error.strerror}): name a new file") from None


def _key(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise typer.BadParameter("a public key is 64 hex digits, as `make-key` prints it")
    return text


def keys_of(texts: list[str] | None) -> list[str]:
    """Public keys of an option that may be repeated, each checked."""
    return [_key(text) for text in texts or []]


def _head(text: str) -> Head:
    match = re.fullmatch("([1-9][0-9]{0,11}):([0-9a-f]{64})", text)
    if match is None:
        raise typer.BadParameter("a head is NUMBER:DIGEST, as this command prints it")
    return Head(int(match[1]), match[2])


@offline.command("verify-receipt")
def _verify_receipt(
    file: Annotated[Path | None, typer.Argument(help="One receipt's file.")] = None,
    chain: Annotated[
        Path | None, typer.Option(help="A copy of the vault, or of its chain/ and receipts/.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(callback=keys_of, help="A public key that you trust, as hex; several may be named."),
    ] = None,
    head: Annotated[
        Head | None, typer.Option(parser=_head, help="A head that you noted, as NUMBER:DIGEST.")
    ] = None,
    allow_unsigned: Annotated[
        bool, typer.Option("--allow-unsigned", help="Take receipts without a signature, as in development.")
    ] = False,
) -> None:
    """Verify a receipt, or with --chain all of them, offline; every problem is told, one a line."""
    if (file is None) == (chain is None):
        raise typer.BadParameter("name one receipt's file, or a folder with --chain")
    if head is not None and chain is None:
        raise typer.BadParameter("--head goes with --chain")
    if not key and not allow_unsigned:
        raise typer.BadParameter("name the public key that you trust with --key")
    trust = Trust(frozenset(key or ()), allow_unsigned)
    try:
        typer.echo(_one(file, trust) if file else _all(chain or Path(), trust, head))
    except OSError as error:
        raise EjectError(f"{error.filename} cannot be read ({error.strerror})") from None


def _one(path: Path, trust: Trust) -> str:
    file, problems = read_receipt(path.read_bytes(), trust)
    _tell(f"{path} {problem}" for problem in problems)
    if file is None:  # a file that is none has a problem
        raise EjectError(f"{path} is no receipt's file")
    return f"{path} is right: {_summary(file)}"


def _summary(file: ReceiptFile) -> str:
    """Who left, when, with whose proof, in one line."""
    receipt = file.receipt
    proven = (
        f", proven for {len(receipt.proofs)} of {len(receipt.wallets)} wallets" if receipt.wallets else ""
    )
    signed = f"signed with {file.key}" if file.key else "unsigned"
    return (
        f"client {receipt.client_id} ended {receipt.end} at {receipt.times.ended:%FT%TZ}{proven}; {signed}."
    )


def _all(folder: Path, trust: Trust, noted: Head | None) -> str:
    audit = Audit(folder, trust, noted)
    _tell(audit.problems())
    if audit.head is None:
        raise EjectError(f"{folder} has no entry in chain/: name a copy of the vault")
    return f"{audit.head.number} receipts are right; note the head for the next time:\n{audit.head}"


def _tell(problems: Iterable[str]) -> None:
    """Print each problem on standard error, at most so many, and leave with 1 where there is one."""
    found: Iterator[str] = iter(problems)
    told = list(islice(found, MOST_PROBLEMS))
    for problem in told:
        # Some words in it may come from a file that anybody wrote, and go to a terminal.
        typer.echo("".join(c if c.isprintable() else "?" for c in problem), err=True)
    if more := sum(1 for _ in found):
        typer.echo(f"and {more} more", err=True)
    if told:
        raise typer.Exit(1)
