"""The table of Portal's calls: the stable name of each, where it is, and what does it."""

from sandbox import client, custodian, enclave
from sandbox.calls import Route, Surface

_ME = "/api/v3/clients/me"
_CLIENTS = "/api/v3/custodians/me/clients"
_PAIRS = f"{_ME}/backup-share-pairs"
_C, _CL, _E = Surface.CUSTODIAN, Surface.CLIENT, Surface.ENCLAVE

ROUTES = (
    Route("create_client", _C, "POST", _CLIENTS, custodian.create_client),
    Route("list_clients", _C, "GET", _CLIENTS, custodian.list_clients),
    Route("read_client", _C, "GET", _CLIENTS + "/{client_id}", custodian.read_client),
    Route("mint_session", _C, "POST", _CLIENTS + "/{client_id}/sessions", custodian.mint_session),
    Route("enable_eject", _C, "PATCH", _CLIENTS + "/{client_id}/enable-eject", custodian.enable_eject),
    Route(
        *("fetch_shares", _C, "GET", _CLIENTS + "/{client_id}/wallets/{wallet_id}/ejectable-backup-shares"),
        custodian.fetch_shares,
    ),
    Route("read_client_as_itself", _CL, "GET", _ME, client.read_client_as_itself),
    Route("store_cipher_text", _CL, "PATCH", _PAIRS + "/{pair_id}", client.store_cipher_text),
    Route("read_cipher_text", _CL, "GET", _PAIRS + "/{pair_id}/cipher-text", client.read_cipher_text),
    # Portal's reference shows this call's 400 and 401 as `{}`.
    Route("confirm_backup", _CL, "PATCH", _PAIRS, client.confirm_backup, bare_errors=True),
    Route("complete_client", _CL, "POST", _ME + "/eject", client.complete_client),
    Route("generate", _E, "POST", "/v1/generate", enclave.generate),
    Route("back_up", _E, "POST", "/v1/backup", enclave.back_up),
)

CALLS = tuple(route.call for route in ROUTES)
