"""Release: put the sealed files where the owner may read them."""

from dataclasses import dataclass

from temporalio import activity

from activities.attempts import only_attempt
from activities.back_up import read_backup
from activities.fetch_shares import read_sealed
from contracts.base import canonical
from contracts.failures import Failure, StepError
from contracts.names import Role, backup_name, custodian_half_name, released_name
from contracts.sealing import SealedFile, SealedRef, reference
from contracts.steps import Release, Released
from custody.vault import Vault


@dataclass(frozen=True)
class ReleaseStep:
    """Custodian role; copies exactly the files that history names, by digest."""

    vault: Vault

    @activity.defn(name="release")
    async def release(self, what: Release) -> Released:
        """Copy from `held/` to `released/`, the backup split into one file per wallet."""
        names = []
        for ref in what.files:
            name = released_name(what.eject_id, ref.role, ref.wallet)
            content = canonical(await self._held(what.eject_id, ref))
            if await self.vault.create(name, content) != content:
                raise StepError(
                    Failure.HELD_MISSING, f"In released/ lies another {ref.role} half of wallet {ref.wallet}"
                )
            names.append(name)
        return Released(names=tuple(names), only_attempt=only_attempt())

    async def _held(self, eject_id: str, ref: SealedRef) -> SealedFile:
        if ref.role is Role.CLIENT:
            written = await self.vault.read(backup_name(eject_id))
            held = read_backup(written).files if written else ()
        else:
            written = await self.vault.read(custodian_half_name(eject_id, ref.wallet))
            held = (read_sealed(written),) if written else ()
        for file in held:
            if reference(ref.role, file) == ref:
                return file
        raise StepError(
            Failure.HELD_MISSING, f"The vault has no longer the {ref.role} half of wallet {ref.wallet}"
        )
