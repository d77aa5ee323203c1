"""Verifying a whole chain of receipts in a copy of the vault: what is missing, changed or named by nobody."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from contracts.chain import ENTRY, ChainEntry
from contracts.names import chain_name, receipt_name
from custody.receipts import read_receipt
from custody.signing import Trust, parsed, sha256

# What a process that was killed while it wrote leaves on a file system; no vault lists it.
_STAGED = re.compile(r"#\d+$")
_ENTRY_NAME = re.compile(r"chain/([0-9]{12})\.json")


@dataclass(frozen=True)
class Head:
    """An entry as one notes it down: its number, and the SHA-256 of its bytes as hex."""

    number: int
    digest: str

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


class Audit:
    """Verifies `chain/` and `receipts/` of a copy of the vault; OSError where one cannot be read.

    `noted` is a head that was written down before: without it, entries that were cut off at the end are not
    missed. Afterwards `head` is the last entry, None in an empty chain.
    """

    def __init__(self, folder: Path, trust: Trust, noted: Head | None = None) -> None:
        self._folder = folder
        self._trust = trust
        self._noted = noted
        self._named: dict[str, str] = {}
        self.head: Head | None = None

    def problems(self) -> Iterator[str]:
        """All that is wrong, one sentence for each, naming the file."""
        for name in self._files("chain"):
            if match := _ENTRY_NAME.fullmatch(name):
                yield from self._link(name, int(match[1]))
            else:
                yield f"{name} is no name of an entry"
        last = self.head.number if self.head else 0
        if self._noted and self._noted.number > last:
            yield f"{chain_name(self._noted.number)} was noted as the head: the chain was cut after {last}"
        for name in self._files("receipts"):
            if name not in self._named:
                yield f"{name} is named by no entry"

    def _files(self, top: str) -> list[str]:
        """The names of all files under a folder of the copy, in order."""
        paths = (path for path in (self._folder / top).rglob("*") if not path.is_dir())
        return sorted(p.relative_to(self._folder).as_posix() for p in paths if not _STAGED.search(p.name))

    def _link(self, name: str, number: int) -> Iterator[str]:
        """One entry of this number, after the one that is `head` so far."""
        data = (self._folder / name).read_bytes()
        before, self.head = self.head, Head(number, sha256(data))
        missing = (before.number if before else 0) + 1
        if number < missing:
            yield f"{name} is before the first entry, which has the number 1"
        elif number > missing:
            last = f" to {chain_name(number - 1)} are" if number > missing + 1 else " is"
            yield f"{chain_name(missing)}{last} missing"
        if self._noted and self._noted.number == number and self._noted != self.head:
            yield f"{name} is not the entry that was noted as the head: the chain was rewritten"
        fields = parsed(data)
        try:
            entry = ChainEntry.model_validate(fields)
        except ValidationError:
            entry = None
        if fields is None or entry is None:
            yield f"{name} is no entry as a worker wrote it, byte for byte"
            return
        if wrong := self._trust.problem(ENTRY, fields):
            yield f"{name} {wrong}"
        if entry.number != number:
            yield f"{name} is the entry of number {entry.number}"
        # Behind a gap nobody can say what the entry before was.
        if number == missing and entry.previous != (before.digest if before else None):
            yield f"{name} does not follow the entry before it: one of the two was changed or exchanged"
        yield from self._receipt(name, entry)

    def _receipt(self, name: str, entry: ChainEntry) -> Iterator[str]:
        """What is wrong with the receipt that an entry names."""
        if entry.name in self._named:
            yield f"{name} names {entry.name}, which {self._named[entry.name]} names already"
            return
        self._named[entry.name] = name
        try:
            data = (self._folder / entry.name).read_bytes()
        except FileNotFoundError:
            yield f"{entry.name} is missing, and {name} names it"
            return
        if sha256(data) != entry.receipt:
            yield f"{entry.name} is not what {name} names: it was changed or exchanged"
        file, problems = read_receipt(data, self._trust)
        for problem in problems:
            yield f"{entry.name} {problem}"
        if file is None:
            return
        client, eject = file.receipt.client_id, file.receipt.eject_id
        if entry.name not in (receipt_name(client, eject), receipt_name(client, eject, file.run)):
            yield f"{entry.name} holds the receipt of eject {eject} of client {client}"
        if file.after >= entry.number:
            yield f"{entry.name} was made after entry {file.after}, and {name} names it"
