"""The sandbox's state: one SQLite file, whose every change is committed before it is answered."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS clients (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, ejected_at TEXT,
    is_account_abstracted INTEGER NOT NULL, backup_with_portal_enabled INTEGER DEFAULT 1,
    is_multi_backup_enabled INTEGER DEFAULT 1, signing INTEGER NOT NULL DEFAULT 1);
CREATE TABLE IF NOT EXISTS credentials (
    digest TEXT PRIMARY KEY, client_id TEXT NOT NULL, kind TEXT NOT NULL, created_at TEXT NOT NULL,
    used_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS wallets (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, curve TEXT NOT NULL,
    created_at TEXT NOT NULL, secret TEXT NOT NULL, x TEXT NOT NULL, y TEXT NOT NULL,
    namespaces TEXT NOT NULL, key_shown TEXT NOT NULL DEFAULT 'lower', ejectable_until TEXT, next_fetch TEXT,
    fetch_pair TEXT, completed_at TEXT);
CREATE INDEX IF NOT EXISTS wallets_of_client ON wallets (client_id);
CREATE TABLE IF NOT EXISTS pairs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, wallet_id TEXT NOT NULL,
    kind TEXT NOT NULL, created_at TEXT NOT NULL, custodian_share TEXT NOT NULL, status TEXT NOT NULL,
    backup_method TEXT NOT NULL, cipher_text TEXT);
CREATE INDEX IF NOT EXISTS pairs_of_client ON pairs (client_id);
CREATE TABLE IF NOT EXISTS faults (
    seq INTEGER PRIMARY KEY, call TEXT NOT NULL, client_id TEXT, times INTEGER NOT NULL, spec TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, call TEXT NOT NULL, via TEXT NOT NULL,
    client_id TEXT, wallet_id TEXT, status INTEGER NOT NULL, effect TEXT, fault TEXT,
    trace TEXT);
CREATE INDEX IF NOT EXISTS journal_of_client ON journal (client_id);
"""
COMPLETED = "'completed', 'STORED_CLIENT_BACKUP_SHARE', 'STORED_CLIENT_BACKUP_SHARE_KEY'"
"""The words in which a pair's status says that it is completed, as SQL."""

_VERSION = 3  # of the tables above: with every change to them it grows by one


class Store:
    """One connection to the state file, or to memory when no path is given."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            # The file holds whole keys: only its owner may read it, from its first byte on. SQLite gives
            # the files beside it the same mode.
            path.touch(mode=0o600)
            path.chmod(0o600)
        self._db = sqlite3.connect(
            path or ":memory:", timeout=0.5, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        # Exclusive: a second sandbox on the same file must fail at its start, not mix its effects in.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        # NORMAL keeps every commit through the death of this process, which is what is promised; only a
        # loss of power could take the last ones.
        self._db.execute("PRAGMA synchronous = NORMAL")
        # Columns are never added to a file: a state is for a test or a demo, and a new one costs nothing.
        held = self.value("SELECT count(*) FROM sqlite_master")
        if held and self.value("PRAGMA user_version") != _VERSION:
            self._db.close()
            raise sqlite3.DatabaseError("another version of the sandbox wrote it; name a new file")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside as one, or nothing of it.

        The server has one event loop and nothing inside awaits, so that calls never interleave here.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def run(self, sql: str, *values: object) -> int:
        """Execute a statement and answer how many rows it changed."""
        return self._db.execute(sql, values).rowcount

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Answer the first row, if there is one."""
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: object) -> Sequence[sqlite3.Row]:
        """Answer every row."""
        return self._db.execute(sql, values).fetchall()

    def value(self, sql: str, *values: object) -> Any:
        """Answer the first column of the first row, or None."""
        row = self.one(sql, *values)
        return None if row is None else row[0]

    def setting(self, name: str) -> str | None:
        """Answer a setting's text, if it was ever set."""
        value: str | None = self.value("SELECT value FROM settings WHERE name = ?", name)
        return value

    def set_setting(self, name: str, value: str) -> None:
        """Keep a setting's text."""
        self.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, value)
