"""The table: every step with every way in which it can fail for good."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

from contracts.failures import Failure
from contracts.names import Role
from portal import calls
from tests.permanent.causes import (
    backup_file,
    changed,
    damaged,
    emptied,
    gone,
    half_file,
    next_fetch,
    refused_after_completion,
    released_file,
    second_half,
    shown_as,
    wallet_added,
)
from tests.permanent.rows import (
    TOO_LARGE,
    of_call,
    of_the_api_key,
    of_the_client,
    of_the_deposit,
    of_the_enclave,
    of_the_files,
    of_the_vault,
    of_the_worker,
    reply,
)
from tests.permanent.scenes import SECRET, Row
from tests.permanent.windows import no_pairs, reading, spent
from workflows import policies
from workflows.policies import Step

_READ, _ME = calls.READ_CLIENT, calls.READ_CLIENT_AS_ITSELF
_NO_BACKUP = "The vault has no longer the backup that this eject made"
_DAMAGED_BACKUP, _DAMAGED = "The backup file in the vault is damaged", "A sealed file in the vault is damaged"
_CIPHER_TEXT = "Portal's cipher text for wallet {%s} is not the one that this eject stored"
_GARBAGE = "The custodian share of wallet {%s} does not parse"
_OTHER_PAIR = "The custodian share of wallet {%s} is not of the pair that was backed up"
_NO_CLIENT_HALF = "The vault has no longer the client half of wallet {first}"
_NO_CUSTODIAN_HALF = "The vault has no longer the custodian half of wallet {first}"

ROWS: tuple[Row, ...] = (
    *(row for road in vars(policies).values() if isinstance(road, Step) for row in of_the_worker(road)),
    # check: reads the client
    *of_call(policies.CHECK, _READ),
    *of_the_client(policies.CHECK, _READ, read=True, compared=False),
    reply(policies.CHECK, _READ, 302, SECRET, headers={"Location": "/api/v3/clients/me"})(
        Failure.PORTAL_REFUSED, "Portal answered 302 to 'read client'"
    ),
    reply(policies.CHECK, _READ, 200, {}, headers={"Content-Encoding": "gzip"})(
        Failure.REPLY_UNREADABLE, "Portal's answer to 'read client' is compressed, unasked"
    ),
    reply(policies.CHECK, _READ, 200, SECRET * 60_000)(
        Failure.REPLY_UNREADABLE, "Portal's answer to 'read client' is larger than 2000000 bytes"
    ),
    # back up: deposit, who the credential is, enclave, vault
    *of_call(policies.BACK_UP, calls.MINT_SESSION),
    *of_call(policies.BACK_UP, _ME),
    *of_call(policies.BACK_UP, calls.BACK_UP),
    *of_the_enclave(),
    *of_the_deposit(),
    *of_the_api_key(
        *(policies.BACK_UP, _ME, Failure.CREDENTIAL_REJECTED),
        "Portal answered with another client than this one",
    ),
    *of_the_vault(policies.BACK_UP, ("get", "held/"), ("get", "deposits/"), ("put", "held/")),
    *of_the_files(policies.BACK_UP, (_DAMAGED_BACKUP, backup_file, damaged)),
    # confirm backup: store, confirm, read back
    *of_call(policies.CONFIRM_BACKUP, calls.MINT_SESSION),
    *of_call(policies.CONFIRM_BACKUP, calls.STORE_CIPHER_TEXT),
    *of_call(policies.CONFIRM_BACKUP, calls.CONFIRM_BACKUP),
    *of_call(policies.CONFIRM_BACKUP, _ME),
    *of_the_client(policies.CONFIRM_BACKUP, _ME, read=False, compared=False),
    *of_the_api_key(
        *(policies.CONFIRM_BACKUP, calls.STORE_CIPHER_TEXT, Failure.PORTAL_REFUSED),
        "Portal answered 400 to 'store cipher text'",
    ),
    *of_the_vault(policies.CONFIRM_BACKUP, ("get", "held/")),
    *of_the_files(
        policies.CONFIRM_BACKUP,
        (_NO_BACKUP, backup_file, gone),
        (_NO_BACKUP, backup_file, emptied),
        (_DAMAGED_BACKUP, backup_file, damaged),
    ),
    # enable eject: compares the client, opens the window
    *of_call(policies.ENABLE_EJECT, _READ),
    *of_call(policies.ENABLE_EJECT, calls.ENABLE_EJECT),
    *of_the_client(policies.ENABLE_EJECT, _READ, read=True, compared=True),
    Row(
        *(policies.ENABLE_EJECT, "the client", Failure.WALLETS_CHANGED),
        "Portal calls the client ejected since it was checked",
        partial(changed, {"ejected_at": datetime(2026, 1, 2, tzinfo=UTC).isoformat()}, {"ejected_at": None}),
    ),
    Row(
        *(policies.ENABLE_EJECT, "the backups", Failure.WALLETS_CHANGED),
        "The client's completed backups are not those that were checked",
        partial(shown_as, _READ, no_pairs),
        existing=True,
    ),
    # fetch shares: inside the window
    *of_call(policies.FETCH_SHARES, calls.FETCH_SHARES),
    *(
        Row(policies.FETCH_SHARES, "the shares", failure, reason, partial(next_fetch, which, what))
        for failure, which, what, reason in (
            (*(Failure.SHARE_UNREADABLE, "first", "garbage"), _GARBAGE % "first"),
            (*(Failure.SHARE_UNREADABLE, "first", "oversized"), TOO_LARGE.format(role="custodian")),
            (*(Failure.PAIR_MISMATCH, "first", "other_pair"), _OTHER_PAIR % "first"),
            (Failure.CIPHER_TEXT_CHANGED, "second", "other_cipher_text", _CIPHER_TEXT % "second"),
            (Failure.CIPHER_TEXT_CHANGED, "second", "no_cipher_text", _CIPHER_TEXT % "second"),
        )
    ),
    *of_the_vault(policies.FETCH_SHARES, ("get", "held/"), ("put", "held/")),
    *of_the_files(policies.FETCH_SHARES, (_DAMAGED, partial(half_file, "first"), damaged)),
    # fetch shares as client: one attempt in each window, which is opened again before the next
    *reading(of_call(policies.FETCH_SHARES_AS_CLIENT, _READ)),
    *of_call(policies.FETCH_SHARES_AS_CLIENT, calls.MINT_SESSION),
    *of_call(policies.FETCH_SHARES_AS_CLIENT, calls.FETCH_SHARES_AS_CLIENT),
    *reading(of_the_client(policies.FETCH_SHARES_AS_CLIENT, _READ, read=False, compared=False)),
    *(
        Row(policies.FETCH_SHARES_AS_CLIENT, "the shares", failure, reason, partial(next_fetch, which, what))
        for failure, which, what, reason in (
            (*(Failure.SHARE_UNREADABLE, "first", "garbage"), _GARBAGE % "first"),
            (*(Failure.SHARE_UNREADABLE, "first", "oversized"), TOO_LARGE.format(role="custodian")),
            (*(Failure.PAIR_MISMATCH, "first", "other_pair"), _OTHER_PAIR % "first"),
        )
    ),
    *reading(
        (
            Row(
                *(policies.FETCH_SHARES_AS_CLIENT, "the window", Failure.WINDOW_SPENT),
                "Somebody else has fetched the shares of wallet {first} in the window of this eject",
                spent,
            ),
        )
    ),
    reply(policies.FETCH_SHARES_AS_CLIENT, calls.ENABLE_EJECT, 400, {"error": SECRET})(
        Failure.PORTAL_REFUSED, "Portal answered 400 to 'enable eject'"
    ),
    Row(
        *(policies.FETCH_SHARES_AS_CLIENT, "the window", Failure.WALLETS_CHANGED),
        "The client's wallets are not those that were checked: wallet {added} is new",
        wallet_added,
    ),
    *of_the_vault(policies.FETCH_SHARES_AS_CLIENT, ("get", "held/"), ("put", "held/")),
    *of_the_files(policies.FETCH_SHARES_AS_CLIENT, (_DAMAGED, partial(half_file, "first"), damaged)),
    # read cipher texts: of a backup from before, beside the custodian halves
    *of_call(policies.READ_CIPHER_TEXTS, calls.MINT_SESSION),
    *of_call(policies.READ_CIPHER_TEXTS, calls.READ_CIPHER_TEXT),
    reply(policies.READ_CIPHER_TEXTS, calls.READ_CIPHER_TEXT, 200, {"cipherText": SECRET})(
        Failure.CIPHER_TEXT_CHANGED,
        "Portal's cipher text for wallet {first} is not the one of its custodian share",
    ),
    *of_the_api_key(
        *(policies.READ_CIPHER_TEXTS, calls.READ_CIPHER_TEXT, Failure.NOT_FOUND),
        "Portal answered 404 to 'read cipher text'",
    ),
    *of_the_vault(policies.READ_CIPHER_TEXTS, ("get", "held/"), ("put", "held/")),
    *of_the_files(policies.READ_CIPHER_TEXTS, (_DAMAGED_BACKUP, backup_file, damaged)),
    # release: the vault only
    *of_the_vault(policies.RELEASE, ("get", "/client/"), ("get", "/custodian/"), ("put", "released/")),
    *of_the_files(
        policies.RELEASE,
        (_NO_CLIENT_HALF, backup_file, gone),
        (_NO_CLIENT_HALF, backup_file, emptied),
        (_DAMAGED_BACKUP, backup_file, damaged),
        (_NO_CUSTODIAN_HALF, partial(half_file, "first"), gone),
        (_NO_CUSTODIAN_HALF, partial(half_file, "first"), second_half),
        (_DAMAGED, partial(half_file, "first"), damaged),
        (
            "In released/ lies another client half of wallet {second}",
            partial(released_file, Role.CLIENT),
            damaged,
        ),
    ),
    # restore backup: after a purge, from Portal
    *of_call(policies.RESTORE_BACKUP, calls.MINT_SESSION),
    *of_call(policies.RESTORE_BACKUP, calls.READ_CIPHER_TEXT),
    reply(policies.RESTORE_BACKUP, calls.READ_CIPHER_TEXT, 200, {"cipherText": SECRET})(
        Failure.CIPHER_TEXT_CHANGED, _CIPHER_TEXT % "first"
    ),
    *of_the_api_key(
        *(policies.RESTORE_BACKUP, calls.READ_CIPHER_TEXT, Failure.NOT_FOUND),
        "Portal answered 404 to 'read cipher text'",
    ),
    *of_the_vault(policies.RESTORE_BACKUP, ("put", "held/")),
    # complete: reads, compares, marks, reads back
    *of_call(policies.COMPLETE, calls.MINT_SESSION),
    *of_call(policies.COMPLETE, _ME),
    *of_call(policies.COMPLETE, calls.COMPLETE),
    *(replace(row, by_wallet=True) for row in of_call(policies.COMPLETE, calls.COMPLETE_WALLET)),
    *of_the_client(policies.COMPLETE, _ME, read=True, compared=True),
    *of_the_api_key(
        *(policies.COMPLETE, _ME, Failure.CREDENTIAL_REJECTED),
        "Portal answered with another client than this one",
    ),
    Row(
        *(policies.COMPLETE, "the mark", Failure.CREDENTIAL_REJECTED),
        "Portal answered 401 to 'read client as itself'",
        refused_after_completion,
    ),
    # the ends
    *of_call(policies.SHRINK_WINDOW, _READ),
    *of_call(policies.SHRINK_WINDOW, calls.ENABLE_EJECT),
    *of_the_client(policies.SHRINK_WINDOW, _READ, read=False, compared=False),
    *of_the_vault(policies.PURGE, ("list", "held/"), ("delete", "held/"), ("list", "released/")),
    *of_the_vault(policies.DELETE_DEPOSIT, ("list", "deposits/"), ("delete", "deposits/")),
    *of_the_vault(
        *(policies.WRITE_RECEIPT, ("get", "receipts/"), ("put", "receipts/")),
        *(("get", "chain/"), ("put", "chain/")),
    ),
)


def _case(row: Row) -> tuple[str, str]:
    return row.step.name, row.about


CASES = {case: tuple(rows) for case, rows in groupby(sorted(ROWS, key=_case), _case)}
