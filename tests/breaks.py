"""Breaks of the promises, each with the test that must go red; `tests/mutants.py` makes them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One break: the text that is replaced once in a file, and the test that guards it."""

    name: str
    guards: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = (
    Mutant(
        name="give_up_after_three_attempts",
        guards="promise 1",
        file="workflows/policies.py",
        old="maximum_interval=timedelta(minutes=1)\n",
        new="maximum_interval=timedelta(minutes=1), maximum_attempts=3\n",
        test="tests/test_retries.py::test_an_outage_of_days_ends_nothing",
    ),
    Mutant(
        name="repeat_portals_words",
        guards="promise 2",
        file="portal/calls.py",
        old='said = f"{reply.status} {error_id}" if error_id else str(reply.status)',
        new='said = f"{reply.status} {reply.body.decode()}"',
        test="tests/test_secrets.py",
    ),
    Mutant(
        name="both_roles_in_production",
        guards="promise 3",
        file="runtime/fitting.py",
        old="    if role is WorkerRole.ALL:\n        yield (",
        new="    if role is None:\n        yield (",
        test="tests/test_two_roles.py::test_production_refuses_what_is_for_development",
    ),
    Mutant(
        name="keep_the_copies_at_the_close",
        guards="promise 4",
        file="workflows/closing.py",
        old="await self._steps.run(PURGE, lambda: Purge(eject_id=record.eject_id))",
        new="_ = (PURGE, Purge)",
        test="tests/test_window.py::test_an_unclaimed_window_closes_as_expired",
    ),
    Mutant(
        name="take_any_signature",
        guards="promise 5",
        file="custody/proofs.py",
        old="if not verify(check.public_key, check.text, signature):",
        new="if verify is None:",
        test="tests/test_proofs.py::test_every_forgery_is_refused_and_the_eject_goes_on_waiting",
    ),
    Mutant(
        name="cancel_what_is_owed",
        guards="promise 6",
        file="workflows/rules.py",
        old="if self.handover.all_proven():",
        new="if self.state.end:",
        test="tests/test_meetings.py::test_once_all_wallets_are_proven_nothing_ends_it_but_completion",
    ),
    Mutant(
        name="fail_instead_of_parking",
        guards="promise 7",
        file="workflows/parking.py",
        old="retried = await self._stand(step, trouble, retried)",
        new="raise ApplicationError(trouble.reason) from trouble",
        test="tests/test_parking.py::test_a_missing_deposit_parks_until_it_is_made",
    ),
    Mutant(
        name="drop_the_eject_id_from_the_challenge",
        guards="a proof counts for one eject",
        file="contracts/owner.py",
        old='        f"eject: {eject_id}",\n',
        new="",
        test="tests/test_proofs.py::test_every_forgery_is_refused_and_the_eject_goes_on_waiting",
    ),
    Mutant(
        name="skip_the_wallets_re_read",
        guards="the wallets are read again just before completion",
        file="activities/complete.py",
        old="            require_unchanged(shown, what.client_id, what.wallets)\n",
        new="",
        test="tests/test_parking.py::test_a_wallet_added_after_the_proof_parks_the_completion",
    ),
    Mutant(
        name="complete_on_a_partial_proof",
        guards="every wallet is proven",
        file="workflows/handover.py",
        old="return bool(self._record.wallets) and not self.awaited",
        new="return bool(self._record.proofs)",
        test="tests/test_lifecycle.py::test_one_wallet_proven_of_two_marks_nothing",
    ),
    Mutant(
        name="skip_the_pair_check",
        guards="the half fetched is of the pair backed up",
        file="custody/shares.py",
        old="if pair not in pair_ids:",
        new="if not pair_ids:",
        test="tests/test_parking.py::test_a_wrong_share_parks_before_anything_irreversible",
    ),
    Mutant(
        name="fetch_after_not_after",
        guards="nothing is fetched near or after the close",
        file="contracts/window.py",
        old="return not_after - now >= FETCH_MARGIN",
        new="return True",
        test="tests/unit/test_handing_out.py::test_nothing_is_fetched_near_the_close",
    ),
    Mutant(
        name="swap_the_recipient_on_a_second_start",
        guards="a second start with other content is refused",
        file="contracts/request.py",
        old="if getattr(one, name) != getattr(other, name)]",
        new='if name != "recipient" and getattr(one, name) != getattr(other, name)]',
        test="tests/test_starter_cli.py::test_the_same_start_joins_and_another_is_refused",
    ),
    Mutant(
        name="answer_a_url_from_claim",
        guards="claim answers names, never addresses",
        file="workflows/handover.py",
        old="name=released_name(record.eject_id, file.role, file.wallet),",
        new='name="https://vault.invalid/" + released_name(record.eject_id, file.role, file.wallet),',
        test="tests/test_lifecycle.py::test_a_claim_answers_names_and_no_addresses",
    ),
    Mutant(
        name="drop_the_opened_bytes",
        guards="only who opened the bundle can prove",
        file="contracts/sealing.py",
        old="return hashlib.sha256(bytes.fromhex(opened_value)).hexdigest()",
        new='return "0" * len(opened_value)',
        test="tests/test_proofs.py::test_every_forgery_is_refused_and_the_eject_goes_on_waiting",
    ),
    Mutant(
        name="complete_without_reading_first",
        guards="nothing irreversible is done twice",
        file="activities/complete.py",
        old="        if shown.ejected_at is None:\n            require_unchanged",
        new="        if shown.id:\n            require_unchanged",
        test="tests/test_retries.py::test_a_dropped_reply_does_nothing_twice",
    ),
    Mutant(
        name="read_twice_in_one_window",
        guards="the client's single-use read is made once in each window",
        file="workflows/fetching.py",
        old="            self._opened.discard(wallet)\n",
        new="",
        test="tests/test_client_fetch.py::test_a_read_that_fails_costs_a_window_and_never_the_share",
    ),
    Mutant(
        name="follow_no_chain",
        guards="a receipt that is missing is missed",
        file="custody/audit.py",
        old="if number == missing and entry.previous != (before.digest if before else None):",
        new="if number < 0:",
        test="tests/unit/test_audit.py::test_each_check_stands_alone",
    ),
)
