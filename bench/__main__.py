"""`python -m bench [--full]`: measure, write `bench/results.json`, show the tables."""

import argparse
import asyncio
import signal
import sys
from types import ModuleType

from rich.console import Console

from bench import beside, growth
from bench.results import keep, kept
from runtime.process import leave

# Each has `async run(console, *, full)`, which answers sections of the results, and `show(results, console)`.
MODULES: tuple[ModuleType, ...] = (growth, beside)


async def measured(modules: tuple[ModuleType, ...], console: Console, *, full: bool) -> None:
    """Run them one after the other; what is done is kept, whatever becomes of the next."""
    for module in modules:
        keep(await module.run(console, full=full))
        module.show(kept(), console)


async def until_ended(console: Console, *, full: bool) -> None:
    """The same as a program: asked to end, it ends its servers and workers first."""
    me = asyncio.current_task()
    assert me is not None, "a coroutine runs in a task"  # noqa: S101
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    await measured(MODULES, console, full=full)


def main() -> int:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more of everything")
    full = parser.parse_args().full
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        asyncio.run(until_ended(console, full=full))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except RuntimeError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    leave(main())
