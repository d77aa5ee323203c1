"""The works behind Portal's Client API up to the window: reading, and keeping backups."""

from sandbox.bodies import ConfirmBackup, StoreCipherText
from sandbox.calls import Call, Reply
from sandbox.errors import RefusedError
from sandbox.named import me, pair_of
from sandbox.replies import CipherTextResponse
from sandbox.showing import show


def read_client_as_itself(call: Call) -> Reply:
    """Read the client whose credential this is."""
    return Reply(show(call.portal, me(call)))


def store_cipher_text(call: Call) -> Reply:
    """Keep a pair's encrypted client share, opaque to Portal; repeating it is safe."""
    body = call.body(StoreCipherText)
    pair = pair_of(call, call.path["backupSharePairId"])
    sql = "UPDATE pairs SET cipher_text = ? WHERE id = ?"
    call.portal.store.run(sql, body.client_cipher_text, pair["id"])
    return Reply(effect="cipher_text_stored")


def read_cipher_text(call: Call) -> Reply:
    """Answer what was stored; the 404 for nothing stored is inferred."""
    pair = pair_of(call, call.path["backupSharePairId"], unknown=404)
    if pair["cipher_text"] is None:
        raise RefusedError("Cipher text not found", 404)
    return Reply(CipherTextResponse(cipher_text=pair["cipher_text"]))


def confirm_backup(call: Call) -> Reply:
    """Mark pairs as completed: all of those named, or none.

    A pair without cipher text can be confirmed too: whoever backs up without Portal's storage does so.
    """
    body = call.body(ConfirmBackup)
    pairs = [pair_of(call, pair_id) for pair_id in body.backup_share_pair_ids]
    call.wallet_id = pairs[0]["wallet_id"] if len(pairs) == 1 else None
    changed = sum(
        call.portal.store.run(
            "UPDATE pairs SET status = 'completed' WHERE id = ? AND status != 'completed'", pair["id"]
        )
        for pair in pairs
    )
    return Reply(effect="pairs_completed" if changed else None)
