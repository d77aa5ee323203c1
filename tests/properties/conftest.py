"""The profile of `make fuzz`, and its count: what no process has tried was not tried."""

from collections.abc import Generator
from typing import Any

import pytest

from docs.figures import keep
from tests.properties import effort

effort.register()
_SENT = "inputs_tried"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the count on to the process that distributes; there, too few inputs are a failure."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_SENT] = dict(effort.tried)
    elif effort.fuzzing() and _parsed() < effort.WANTED and not session.config.option.collectonly:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of a failure in letters that every process can send: the inputs are full of others."""
    report = yield
    if report.failed:
        report.longrepr = _sendable(str(report.longrepr))
        report.sections = [(name, _sendable(text)) for name, text in report.sections]
    return report


def _sendable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process has ended: add what it has tried."""
    effort.tried.update(getattr(node, "workeroutput", {}).get(_SENT, {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how much was tried and, where something broke, how to see it again."""
    if not effort.fuzzing():
        return
    for name, count in sorted(effort.tried.items()):
        terminalreporter.write_line(f"{count:>9,} inputs tried as {name}")
    enough = _parsed() >= effort.WANTED
    if not config.option.keyword:
        failed = len(terminalreporter.stats.get("failed", ()))
        figures = {"tried": dict(effort.tried), "bundles and shares": _parsed(), "failed": failed}
        keep("fuzz", figures)
    terminalreporter.write_line(
        f"{_parsed():>9,} as bundles and shares together: at least {effort.WANTED:,} are "
        f"{'reached' if enough else 'WANTED'}"
    )
    if terminalreporter.stats.get("failed") or not enough:
        seed = config.getoption("--hypothesis-seed")
        terminalreporter.write_line(
            f"The same inputs again: make fuzz SEED={seed}; one test: add ONLY='-k name of the test'"
        )


def _parsed() -> int:
    return effort.tried["bundles"] + effort.tried["shares"]
