"""Rows that belong together: of a call, of the client, of the vault, of what lies in it."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from contracts.failures import Failure
from portal import calls
from portal.calls import Call
from tests.permanent.causes import (
    another,
    answered,
    api_key_file,
    damaged,
    gone,
    key_hidden,
    key_of_another,
    odd_address,
    odd_worker,
    of_another,
    off_the_curve,
    one_share,
    one_wallet,
    other_form,
    other_key,
    other_words,
    sealed_to_nobody,
    sealed_to_the_role,
    shown_as,
    signing_shares_file,
    spoilt,
    vault_refuses,
    wallet_added,
)
from tests.permanent.scenes import SECRET, Row
from workflows import policies
from workflows.policies import Step

# Documented bodies of Portal's, Tatum's, and of what stands before them: status, body, what it means.
_TATUM = {"errorCode": SECRET, "message": SECRET}
REFUSALS: tuple[tuple[int, Any, Failure], ...] = (
    (400, {"error": SECRET}, Failure.PORTAL_REFUSED),
    (400, {}, Failure.PORTAL_REFUSED),
    (401, f"Authorization header is missing {SECRET}", Failure.CREDENTIAL_REJECTED),
    (401, _TATUM | {"statusCode": 401}, Failure.CREDENTIAL_REJECTED),
    (403, _TATUM | {"statusCode": 403}, Failure.CREDENTIAL_REJECTED),
    (404, _TATUM | {"statusCode": 404}, Failure.NOT_FOUND),
    (409, None, Failure.PORTAL_REFUSED),
    (422, _TATUM | {"statusCode": 422}, Failure.PORTAL_REFUSED),
)
# The enclave's error ids, flat and nested: status, id, what it means.
ENCLAVE_REFUSALS = (
    (400, "BAD_REQUEST", Failure.PORTAL_REFUSED),
    (400, "STATE_INVALID", Failure.PORTAL_REFUSED),
    (400, "MPC_PROTOCOL_UNSUPPORTED", Failure.PORTAL_REFUSED),
    (400, "DKG_REFRESH_MISMATCH", Failure.PORTAL_REFUSED),
    (400, "METADATA_INVALID", Failure.PORTAL_REFUSED),
    (404, "NOT_FOUND", Failure.NOT_FOUND),
    (400, "AUTH_FAILED", Failure.CREDENTIAL_REJECTED),
    (500, "AUTH_FAILED", Failure.CREDENTIAL_REJECTED),
    (400, "SHARE_PARSING_FAILED", Failure.DEPOSIT_UNREADABLE),
    (500, "DECRYPT_FAILED", Failure.DEPOSIT_UNREADABLE),
)
TOO_LARGE = "The {role} half of wallet {{first}} is too large, or is no text"
VAULT_REFUSALS = (PermissionDeniedError, UnauthenticatedError, PermissionError)
# A success of another shape: the body, and the fields that the reason names.
SHAPES: dict[str, list[tuple[Any, str]]] = {
    calls.READ_CLIENT.name: [
        ({"client": {"id": SECRET}}, "id"),
        ({"id": "c", "wallets": [{"id": "w", "curve": SECRET}]}, "wallets.0.curve"),
    ],
    calls.READ_CLIENT_AS_ITSELF.name: [({"id": "c", "ejectedAt": SECRET}, "ejectedAt")],
    calls.MINT_SESSION.name: [({"id": SECRET}, "clientSessionToken")],
    calls.BACK_UP.name: [({"SECP256K1": {"share": [SECRET], "id": "p"}}, "SECP256K1.share")],
    calls.READ_CIPHER_TEXT.name: [({"cipherText": None}, "cipherText")],
    calls.ENABLE_EJECT.name: [({"ejectableUntil": None}, "ejectableUntil"), ([SECRET], "its body")],
    calls.FETCH_SHARES_AS_CLIENT.name: [({"data": {"share": SECRET}}, "custodianBackupShare")],
    calls.FETCH_SHARES.name: [
        ({"encryptedClientBackupShare": SECRET}, "custodianBackupShare"),
        ({"custodianBackupShare": {"share": SECRET}}, "custodianBackupShare"),
    ],
}


def reply(step: Step[Any, Any], call: Call[Any], status: int, body: Any, **more: Any) -> Callable[..., Row]:
    """A row for one answer of Portal's; it still wants its meaning and its words."""
    return partial(Row, step, call.name, cause=partial(answered, call, status, body, **more))


def of_call(step: Step[Any, Any], call: Call[Any]) -> Iterator[Row]:
    """Every permanent answer to a call, whichever step makes it."""
    for status, body, failure in REFUSALS:
        # The first check takes it for an answer: see the test of the refused one.
        if (step, call, status) != (policies.CHECK, calls.READ_CLIENT, 404):
            yield reply(step, call, status, body)(failure, f"Portal answered {status} to '{call.name}'")
    for body, fields in SHAPES.get(call.name, ()):
        told = f"Portal's answer to '{call.name}' has no or another form of: {fields}"
        yield reply(step, call, 200, body)(Failure.REPLY_UNREADABLE, told)


def of_the_enclave() -> Iterator[Row]:
    """Refusals with an id, and shares that are not those of this backup."""
    step, call = policies.BACK_UP, calls.BACK_UP
    for number, (status, error_id, failure) in enumerate(ENCLAVE_REFUSALS):
        said = {"id": error_id, "message": SECRET}
        body = {"error": said | {"code": 320}} if number % 2 else said
        yield reply(step, call, status, body)(failure, f"Portal answered {status} {error_id} to 'back up'")
    garbage, told = {"SECP256K1": {"share": SECRET, "id": "p"}}, "The backup share of wallet {first} "
    yield reply(step, call, 200, garbage)(Failure.SHARE_UNREADABLE, told + "does not parse")
    for failure, reason, named, key in (
        (Failure.SHARE_UNREADABLE, "The backup has no ED25519 share for wallet {second}", "p", 0),
        (Failure.PAIR_MISMATCH, told + "names another pair than its reply", "q", 0),
        (Failure.PAIR_MISMATCH, told + "belongs to another key", "p", 1),
    ):
        yield Row(step, call.name, failure, reason, partial(one_share, named, key))
    large = partial(one_share, "p", 0, padding=800_000)
    yield Row(step, call.name, Failure.SHARE_UNREADABLE, TOO_LARGE.format(role="client"), large)


def of_the_client(step: Step[Any, Any], call: Call[Any], *, read: bool, compared: bool) -> Iterator[Row]:
    """A client that is shown as somebody else, (where its wallets are read) oddly, or (compared) changed."""
    row = partial(Row, step, "the client")
    other = "Portal answered with another client than this one"
    yield row(Failure.CREDENTIAL_REJECTED, other, partial(shown_as, call, another))
    if read:
        point = "The public key of wallet {first} is no point of its curve"
        yield row(Failure.REPLY_UNREADABLE, point, partial(shown_as, call, off_the_curve))
        published = "A published address for wallet {first} has no known form"
        yield row(Failure.REPLY_UNREADABLE, published, partial(shown_as, call, odd_address))
    if compared:
        told = "The client's wallets are not those that were checked: wallet "
        row = partial(row, Failure.WALLETS_CHANGED)
        yield row(told + "{added} is new", wallet_added)
        yield row(told + "{first} is gone", key_hidden)
        yield row(told + "{first} is gone", partial(shown_as, call, one_wallet))
        yield row(told + "{first} has another key", partial(shown_as, call, other_key))


def of_the_vault(step: Step[Any, Any], *operations: tuple[str, str]) -> Iterator[Row]:
    """A vault that refuses each operation, in each of the ways in which stores say so."""
    told = "The vault refuses this worker's credentials"
    for (operation, place), error in product(operations, VAULT_REFUSALS):
        cause = partial(vault_refuses, operation, place, error)
        yield Row(step, "the vault", Failure.VAULT_REFUSED, told, cause, operation)


def of_the_deposit() -> Iterator[Row]:
    """Signing shares that are missing, sealed to another, somebody else's, or none."""
    row, unreadable = partial(Row, policies.BACK_UP, "the deposit"), Failure.DEPOSIT_UNREADABLE
    spoil = partial(spoilt, signing_shares_file)
    missing = "No signing shares were deposited for client {client}"
    yield row(Failure.DEPOSIT_MISSING, missing, partial(spoil, gone))
    sealed = "The deposit was sealed to no identity in EJECT_CLIENT_IDENTITY"
    yield row(unreadable, sealed, partial(spoil, sealed_to_nobody))
    yield row(unreadable, sealed, partial(spoil, damaged))
    none = "The deposited signing shares are not the body of a generate reply"
    yield row(unreadable, none, partial(spoil, partial(sealed_to_the_role, SECRET)))
    other = "The deposited SECP256K1 signing share is not that of wallet {first}"
    yield row(unreadable, other, partial(spoil, of_another))


def of_the_api_key(step: Step[Any, Any], call: Call[Any], other: Failure, told: str) -> Iterator[Row]:
    """The client's own credential, where the role has no other; what another client's leads to depends."""
    row, spoil = partial(Row, step, "the API key", strict=True), partial(spoilt, api_key_file)
    missing = "No API key was deposited for client {client}"
    yield row(Failure.DEPOSIT_MISSING, missing, partial(spoil, gone))
    sealed = "The deposit was sealed to no identity in EJECT_CLIENT_IDENTITY"
    yield row(Failure.DEPOSIT_UNREADABLE, sealed, partial(spoil, sealed_to_nobody))
    none = f"The credential for '{call.name}' is not one: copy it again"
    yield row(Failure.CREDENTIAL_REJECTED, none, partial(spoil, partial(sealed_to_the_role, f"{SECRET}\n")))
    revoked = f"Portal answered 401 to '{call.name}'"
    yield row(Failure.CREDENTIAL_REJECTED, revoked, partial(spoil, partial(sealed_to_the_role, SECRET)))
    yield row(other, told, partial(spoil, key_of_another))


def of_the_files(
    step: Step[Any, Any], *rows: tuple[str, Callable[..., Any], Callable[..., Any]]
) -> Iterator[Row]:
    """Files in the vault that are missing, damaged, or not this eject's."""
    for reason, name, data in rows:
        yield Row(step, "the files", Failure.HELD_MISSING, reason, partial(spoilt, name, data))


def of_the_worker(step: Step[Any, Any]) -> Iterator[Row]:
    """A step that ends as none of ours does; the first of them is how every case comes to its step."""
    form = "What the step was given or answered has another form: message: Input should be a valid dictionary"
    form += f" or instance of {step.answer.__name__}"
    yield Row(step, "the worker", Failure.MESSAGE_INVALID, form, partial(odd_worker, step, other_form))
    if step.retry.maximum_attempts == 1:
        used_up = f"The shares of wallet {{first}} could not be fetched in {policies.MOST_WINDOWS} windows, "
        used_up += "each read once"
        cause = partial(odd_worker, step, other_words)
        yield Row(step, "the worker", Failure.WINDOWS_USED_UP, used_up, cause, slow=True)
        return
    words = "The step ended with ApplicationError"
    yield Row(step, "the worker", Failure.UNEXPECTED, words, partial(odd_worker, step, other_words))
