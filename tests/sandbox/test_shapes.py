"""Clients of other shapes, and answers with as little in them as there may be."""

import json
from typing import Any

import pytest

from tests.sandbox.harness import CLIENTS, ME, Box


@pytest.mark.parametrize("curve", ["SECP256K1", "ED25519"])
async def test_one_curve_only(box: Box, curve: str) -> None:
    """A client of one curve has one wallet, its addresses, and backs up with that curve's share alone."""
    owner = await box.seed(curves=[curve])
    client = await box.read(owner.client_id)
    assert [wallet["curve"] for wallet in client["wallets"]] == [curve]
    assert {space["curve"] for space in client["metadata"]["namespaces"].values()} == {curve}
    assert set(await box.back_up(owner)) == {curve}


async def test_no_wallet_yet(box: Box) -> None:
    """A client that has not generated shows no wallets, and generates then."""
    owner = await box.seed(curves=[])
    assert (await box.read(owner.client_id))["wallets"] == []
    assert json.loads(owner.generate_response) == {}
    assert (await box.call("POST", "/v1/generate", owner.client_api_key)).status_code == 200
    assert len((await box.read(owner.client_id))["wallets"]) == 2


async def test_account_abstracted(box: Box) -> None:
    """The flag is shown as the client was seeded or changed."""
    owner = await box.seed(is_account_abstracted=True)
    assert (await box.read(owner.client_id))["isAccountAbstracted"] is True
    await box.control(f"clients/{owner.client_id}", {"is_account_abstracted": False})
    assert (await box.read(owner.client_id))["isAccountAbstracted"] is False


@pytest.mark.parametrize("value", [True, False, None])
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("is_multi_backup_enabled", "isMultiBackupEnabled"),
        ("backup_with_portal_enabled", "backupWithPortalEnabled"),
    ],
)
async def test_environment_flags_are_on_off_or_absent(
    box: Box, name: str, shown: str, value: bool | None
) -> None:
    """A flag that the environment does not have is absent, not null."""
    owner = await box.seed()
    await box.control(f"clients/{owner.client_id}", {name: value})
    environment = (await box.read(owner.client_id))["environment"]
    assert environment.get(shown, "absent") == ("absent" if value is None else value)


async def test_sparse_clients_leave_out_what_may_be_absent(box: Box) -> None:
    """Ids, curves, keys and pairs are left; times are there once they are set; all readers see the same."""
    owner = await box.seed()
    await box.back_up(owner)
    full = await box.read(owner.client_id)
    await box.control("switches", {"sparse_clients": True})
    expected: dict[str, Any] = {
        "id": owner.client_id,
        "wallets": [
            {
                **{name: wallet[name] for name in ("id", "curve", "publicKey")},
                "backupSharePairs": [
                    {name: pair[name] for name in ("id", "status")} for pair in wallet["backupSharePairs"]
                ],
            }
            for wallet in full["wallets"]
        ],
    }
    assert await box.read(owner.client_id) == expected
    assert (await box.custodian("GET", CLIENTS)).json()["results"] == [expected]
    wallet = full["wallets"][0]["id"]
    until = (await box.enable(owner, wallet)).json()["ejectableUntil"]
    assert (await box.wallet(owner))["ejectableUntil"] == until
    await box.control(f"clients/{owner.client_id}", {"wallets": {wallet: {"public_key": "null"}}})
    assert "publicKey" not in await box.wallet(owner)
    await box.call("POST", f"{ME}/eject", owner.client_api_key)
    assert "ejectedAt" in (await box.call("GET", ME, owner.client_api_key)).json()


async def test_bare_clients_are_an_id(box: Box) -> None:
    """The one field that is always there is all there is."""
    owner = await box.seed()
    await box.control("switches", {"bare_clients": True})
    assert await box.read(owner.client_id) == {"id": owner.client_id}
