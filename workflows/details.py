"""What a person sees of a running eject in the Temporal UI, as Markdown."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.receipt import Status
    from contracts.stages import End, Stage

_AWAITED: dict[Stage | End, str] = {
    Stage.AWAITING_APPROVAL: "approvers, to read the request and approve its digest",
    Stage.COOLING_OFF: "nobody: the cooling-off runs; `cancel` ends it",
    Stage.AWAITING_CLAIM: "the owner, to claim the bundle",
    Stage.AWAITING_PROOF: "the owner, to prove the key of every wallet",
    Stage.UNRESOLVED: "the owner, for a late proof; or a person, to `extend` or `resolve close`",
    Stage.PARKED: "an operator, to mend the cause and retry",
}


def markdown(status: Status) -> str:
    """Stage, who is awaited for what, the window, the wallets, and where parked the command that mends it.

    Values come from bounded models; none is a secret.
    """
    lines = [f"**{status.stage}**"]
    if awaited := _AWAITED.get(status.stage):
        lines.append(f"Awaited: {awaited}.")
    if status.stage is Stage.AWAITING_APPROVAL:
        lines.append(f"Approvals: {len(status.approvals)} of {status.approvals_needed}.")
        lines.append(_command(status, f"approve --digest {status.request_digest} --by NAME --why WHY"))
    if status.cooling_off_until and status.stage is Stage.COOLING_OFF:
        lines.append(f"Cooling off until {_time(status.cooling_off_until)}.")
    if status.park:
        park = status.park
        lines.append(f"**Park {park.number}** at `{park.step}` since {_time(park.since)}: {park.reason}.")
        lines.append(f"To mend it: {park.mend}.")
        lines.append(_command(status, f"retry --park {park.number} --by NAME --why WHY"))
    if status.stage is Stage.UNRESOLVED:
        lines.append(_command(status, "extend --window P1D --by NAME --why WHY"))
        lines.append(_command(status, "resolve close --by NAME --why WHY"))
    if status.window_closes:
        lines.append(f"The window closes at {_time(status.window_closes)}.")
    lines.append(f"Sealed to the recipient `{status.fingerprint}`; request `{status.request_digest}`.")
    for wallet in status.wallets:
        proven = ", proven" if wallet.id in status.proven else ""
        places = ", ".join(f"{name} `{address}`" for name, address in sorted(wallet.addresses.items()))
        lines.append(f"- wallet `{wallet.id}` ({wallet.curve}{proven}): {places or f'`{wallet.address}`'}")
    for approved in status.approvals:
        how = "signed" if approved.signed else "asserted"
        lines.append(f"- approved by {plain(approved.by)} ({how}) at {_time(approved.at)}")
    return "\n\n".join(lines)


def _command(status: Status, words: str) -> str:
    name, _, rest = words.partition(" ")
    if name == "resolve":
        name, rest = "resolve close", rest.removeprefix("close ")
    return f"`python starter.py {name} --client {status.client_id} {rest}`"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def plain(words: str) -> str:
    """A person's words without what Markdown would read as form."""
    return "".join(letter for letter in words if letter.isalnum() or letter in " .-'@")
