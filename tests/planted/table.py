"""All scenarios: importing this fills the table."""

from tests.planted import commands, ends, faults, kills, parks
from tests.planted.scene import SCENARIOS, Scenario

MODULES = (commands, ends, faults, kills, parks)
ALL: tuple[Scenario, ...] = tuple(SCENARIOS.values())
SPREAD: tuple[Scenario, ...] = tuple(chosen for chosen in ALL if chosen.quick)
