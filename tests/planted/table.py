"""All scenarios: importing this fills the table."""

from tests.planted import commands, deposits, earlier, ends, faults, gateway, kills, parks, wrong_input
from tests.planted.scenario import SCENARIOS, Scenario

MODULES = (commands, deposits, earlier, ends, faults, gateway, kills, parks, wrong_input)
ALL: tuple[Scenario, ...] = tuple(SCENARIOS.values())
SPREAD: tuple[Scenario, ...] = tuple(chosen for chosen in ALL if chosen.quick)
