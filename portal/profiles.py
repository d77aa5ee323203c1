"""What is different about each provider, and which side of each contradiction in the sources holds for it.

Portal's API reference and Tatum's guide contradict each other, and neither says everything. What a provider
is known to do stands in its profile; what nobody has documented is named in `UNKNOWN`, with what an eject
does so that the answer does not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.failures import Failure
from contracts.providers import Completion, Provider


@dataclass(frozen=True)
class Profile:
    """How the custodian's calls of one provider are made and read.

    `clients` is the path under which its clients lie, `header` and `scheme` how its key is sent.
    `completion` is the call that its documents name for the end of an eject. `credits_are_403` tells whether
    a 403 can mean that the plan's credits are used up, which passes.
    """

    clients: str
    header: str
    scheme: str
    completion: Completion
    credits_are_403: bool

    def credential(self, key: str) -> dict[str, str]:
        """The header that carries the custodian's key."""
        return {self.header: f"{self.scheme}{key}"}

    def meaning(self, status: int, body: bytes) -> Failure | None:
        """What only this provider means by a status; None where it means what everybody does.

        Tatum answers 403 both where a permission is missing, which is final, and where the plan's credits are
        used up, which passes. No code tells them apart in its documents; the published text of the latter
        speaks of credits.
        """
        if self.credits_are_403 and status == 403 and b"credits" in body.lower():
            return Failure.PORTAL_THROTTLED
        return None


PROFILES: Mapping[Provider, Profile] = {
    Provider.PORTAL: Profile(
        clients="/custodians/me/clients",
        header="Authorization",
        scheme="Bearer ",
        completion=Completion.CLIENT,  # Portal's reference: POST /clients/me/eject
        credits_are_403=False,
    ),
    Provider.TATUM: Profile(
        clients="/v4/wallets/clients",
        header="x-api-key",
        scheme="",
        completion=Completion.WALLET,  # Tatum's guide: completeEject for a wallet
        credits_are_403=True,
    ),
}

DIRECT = PROFILES[Provider.PORTAL]
"""How a client's own calls are made, whoever the custodian's provider is."""


@dataclass(frozen=True)
class Question:
    """One contradiction: what each source says of it, and what an eject does."""

    asked: str
    portal: str
    tatum: str
    eject: str


CONTRADICTIONS = (
    Question(
        "Does signing stop once a client is marked as ejected?",
        "No: the mark only records the fact",
        "Yes",
        "Promises nothing, and reports Portal's `ejectedAt`",
    ),
    Question(
        "Does the window gate the custodian's fetch?",
        "Not documented",
        "Yes: no share after it has closed",
        "Never fetches outside the window, so that both are right",
    ),
    Question(
        "Can the client fetch its shares more than once in a window?",
        "No: a success clears `ejectableUntil`",
        "Not documented",
        "Reads at most once in each window that it opens",
    ),
    Question(
        "Is the body of the client's fetch flat, or wrapped in `data`?",
        "Both occur",
        "Not documented",
        "Reads both",
    ),
    Question(
        "Is a cipher text stored with POST or with PATCH?",
        "PATCH in the reference, POST in older texts",
        "Not documented: the call goes to Portal",
        "PATCH",
    ),
    Question(
        "Is completion told for the client or for each wallet?",
        "For the client; the call for a wallet exists too",
        "For a wallet, which marks the client",
        "Either, after every wallet is proven; which one is the profile's, or `EJECT_COMPLETION`",
    ),
    Question(
        "Are the coordinates of a public key named in lower or in upper case?",
        "Both occur",
        "Both occur",
        "Reads both",
    ),
    Question(
        "Does a success without content answer 200 or 204?",
        "Both occur",
        "Not documented",
        "Any 2xx is a success",
    ),
)

UNKNOWN = (
    Question(
        "What does a second completion answer?",
        "Not documented",
        "Not documented",
        "Reads the client first: `ejectedAt` set means done; a 400 to a repeat parks",
    ),
    Question(
        "Is there a longest window?",
        "Not documented",
        "Not documented; the example has 7 days",
        "30 days at most, and the window is what Portal answers",
    ),
    Question(
        "Can an open window be closed?",
        "No call is documented",
        "No call is documented",
        "Sets the nearest deadline that is taken, 90 s ahead",
    ),
    Question(
        "How is a 429 dated?",
        "Not documented",
        "Not documented",
        "Honours `Retry-After` in both forms, an hour at most",
    ),
    Question(
        "Is one wallet's completion shown anywhere?",
        "No: the client's `ejectedAt` is the only mark",
        "No",
        "Reads the client's mark back, whichever call was made",
    ),
)
