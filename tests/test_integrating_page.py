"""What the page for other services shows is there."""

import ast
import re

import pytest
from nexusrpc import get_service_definition

import starter
from contracts.notices import NoticeKind
from contracts.stages import End
from ejects.nexus_service import EjectService
from runtime.development import ROOT

PAGE = (ROOT / "docs/integrating.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_python_example_is_python(block: str) -> None:
    """It compiles, its imports are there, and so is each function of `starter` that it calls."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(block, PAGE[:20], "exec", ast.PyCF_ONLY_AST | flags)
    imports: list[ast.stmt] = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), "the page", "exec"), {})  # noqa: S102 (the project's own page)
    for called in re.findall(r"\bstarter\.(\w+)\(", block):
        assert called in starter.__all__


def test_every_operation_and_every_notice_has_its_row() -> None:
    """The tables name what is there."""
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.M)
    named = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    service = get_service_definition(EjectService)
    assert service is not None
    assert set(service.operation_definitions) <= named
    assert {f"eject.{kind}" for kind in (*NoticeKind, *End)} <= named
