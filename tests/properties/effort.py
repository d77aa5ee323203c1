"""How many inputs a property is tried with: a few in every run of the tests, many in `make fuzz`.

The profiles are derandomised or seeded, so that a run can be repeated; what is found is printed, and nothing
is written into the repository.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

MANY = "fuzz"
# What `make fuzz` must have parsed as bundles and shares, together.
WANTED = 100_000

tried: Counter[str] = Counter()
"""How many inputs were tried in this process, by what they were read as."""

_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}


def register() -> None:
    """Make the profile of `make fuzz` known; its seed is given on the command line."""
    settings.register_profile(MANY, settings(derandomize=False, **_COMMON))


def fuzzing() -> bool:
    """Whether this run is `make fuzz`."""
    return settings.get_current_profile_name() == MANY


def examples(few: int, many: int) -> Callable[[Any], Any]:
    """Try a property so often; a failure in a long run is not shrunk for longer than it is worth."""
    if fuzzing():
        return settings(max_examples=many, derandomize=False, **_COMMON)
    return settings(
        max_examples=max(1, few // 2),
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        **_COMMON,
    )
