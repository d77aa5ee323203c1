"""The table of calls: the stable name of each, where it is, what does it, what it takes and gives."""

from collections.abc import Mapping

from sandbox import bodies, client, completion, custodian, ejectable, enclave, replies
from sandbox.calls import Query, Route, Surface

_ME = "/api/v3/clients/me"
_PAIRS = f"{_ME}/backup-share-pairs"
_CL, _E = Surface.CLIENT, Surface.ENCLAVE

# The custodian's calls are at both: with Portal's key, and at Tatum's gateway with Tatum's.
_CUSTODIANS: Mapping[Surface, str] = {
    Surface.CUSTODIAN: "/api/v3/custodians/me/clients",
    Surface.GATEWAY: "/v4/wallets/clients",
}


def _custodians(surface: Surface, base: str) -> tuple[Route, ...]:
    one = base + "/{clientId}"
    shares = one + "/wallets/{walletId}/ejectable-backup-shares"
    return (
        Route(
            *("create_client", surface, "POST", base, custodian.create_client),
            takes=bodies.NewClient,
            gives=(replies.NewClientResponse,),
        ),
        Route(
            *("list_clients", surface, "GET", base, custodian.list_clients),
            gives=(replies.ClientsResponse,),
            query=(
                Query("cursor", {"type": "string"}),
                Query("take", {"type": "integer", "minimum": 1, "maximum": 100}),
            ),
        ),
        Route(
            *("read_client", surface, "GET", one, custodian.read_client),
            gives=(replies.ClientResponse,),
            unknown=True,
        ),
        Route(
            *("mint_session", surface, "POST", one + "/sessions", custodian.mint_session),
            takes=bodies.NewClient,
            gives=(replies.SessionResponse,),
            unknown=True,
        ),
        Route(
            *("enable_eject", surface, "PATCH", one + "/enable-eject", custodian.enable_eject),
            takes=bodies.EnableEject,
            gives=(replies.EnableEjectResponse,),
        ),
        Route(
            *("fetch_shares", surface, "GET", shares, ejectable.fetch_shares),
            gives=(replies.EjectableBackupSharesResponse,),
        ),
    )


ROUTES = (
    *(route for surface, base in _CUSTODIANS.items() for route in _custodians(surface, base)),
    Route(
        *("read_client_as_itself", _CL, "GET", _ME, client.read_client_as_itself),
        gives=(replies.ClientResponse,),
    ),
    Route(
        *("store_cipher_text", _CL, "PATCH", _PAIRS + "/{backupSharePairId}", client.store_cipher_text),
        takes=bodies.StoreCipherText,
    ),
    Route(
        *(
            "read_cipher_text",
            _CL,
            "GET",
            _PAIRS + "/{backupSharePairId}/cipher-text",
            client.read_cipher_text,
        ),
        gives=(replies.CipherTextResponse,),
        unknown=True,
    ),
    # Portal's reference shows this call's 400 and 401 as `{}`.
    Route(
        *("confirm_backup", _CL, "PATCH", _PAIRS, client.confirm_backup),
        takes=bodies.ConfirmBackup,
        bare_errors=True,
    ),
    Route(
        *("fetch_shares_as_client", _CL, "GET", _ME + "/wallets/{walletId}/ejectable-backup-shares"),
        ejectable.fetch_shares_as_client,
        gives=(replies.EjectableBackupSharesResponse, replies.WrappedEjectableBackupSharesResponse),
        query=(Query("backupMethod", {"type": "string", "enum": [*bodies.BACKUP_METHODS]}, required=True),),
    ),
    Route(
        *("complete_wallet", _CL, "PATCH", _ME + "/wallets/{walletId}/complete-eject"),
        completion.complete_wallet,
    ),
    Route(
        *("complete_client", _CL, "POST", _ME + "/eject", completion.complete_client),
        takes=bodies.Complete,
    ),
    Route(
        *("generate", _E, "POST", "/v1/generate", enclave.generate),
        gives=(replies.MpcShareResponse,),
    ),
    Route(
        *("back_up", _E, "POST", "/v1/backup", enclave.back_up),
        takes=bodies.BackupRequest,
        gives=(replies.MpcShareResponse,),
    ),
)

CALLS = tuple(dict.fromkeys(route.call for route in ROUTES))
