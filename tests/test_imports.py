"""The rooms: who may import whom."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRIES = {"worker", "starter", "demo", "story", "codec_server"}
ROOMS = {"contracts", "portal", "custody", "runtime", "device", "sandbox"} | {
    "activities",
    "workflows",
    "ejects",
    "serving",
    "commands",
    "bench",
}
ALLOWED = {
    "contracts": set(),
    "portal": {"contracts"},
    "custody": {"contracts"},
    "runtime": {"contracts"},
    "device": {"contracts"},
    "sandbox": {"contracts"},
    "activities": {"contracts", "portal", "custody"},
    "workflows": {"contracts", "activities"},
    "ejects": {"contracts", "custody", "portal", "workflows"},
    "commands": {"contracts", "custody", "ejects", "portal", "runtime", "serving"},
    "serving": {"activities", "contracts", "custody", "ejects", "portal", "runtime", "workflows"},
    **dict.fromkeys(ENTRIES, (ROOMS | ENTRIES) - {"bench", "device", "sandbox"}),
    "bench": ROOMS | ENTRIES,
}

# All that contracts need beside the standard library.
PLAIN = {"pydantic", "pydantic_core"}


def imports(source: str) -> list[tuple[str, bool]]:
    """Every module that a file imports, and whether inside `imports_passed_through()`."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, passed: bool) -> None:
        if isinstance(node, ast.With):
            text = ast.unparse(node.items[0].context_expr)
            passed = passed or text == "workflow.unsafe.imports_passed_through()"
        if isinstance(node, ast.Import):
            found.extend((alias.name, passed) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            found.append((node.module or "", passed))
        for child in ast.iter_child_nodes(node):
            visit(child, passed)

    visit(ast.parse(source), False)
    return found


def complaints(room: str, source: str) -> list[str]:
    """What a file of a room imports against the rules."""
    wrong = []
    for module, passed in imports(source):
        top = module.partition(".")[0]
        if top in ROOMS | ENTRIES and top != room and top not in ALLOWED[room]:
            wrong.append(f"{room} imports {module}")
        if top in ENTRIES and room not in ENTRIES | {"bench"}:
            wrong.append(f"{room} imports the entry {module}")
        if room == "workflows" and top == "activities" and not passed:
            wrong.append(f"{module} is imported into the workflow sandbox")
        if room == "contracts" and top not in sys.stdlib_module_names | PLAIN | {"contracts"}:
            wrong.append(f"contracts imports {module}")
        if room in ("portal", "custody") and top == "temporalio":
            wrong.append(f"{room} knows Temporal")
    return wrong


FILES = [
    *((room, path) for room in sorted(ROOMS) for path in sorted((ROOT / room).rglob("*.py"))),
    *((entry, ROOT / f"{entry}.py") for entry in sorted(ENTRIES)),
]


@pytest.mark.parametrize(("room", "path"), FILES, ids=[str(p.relative_to(ROOT)) for _, p in FILES])
def test_a_file_imports_only_what_its_room_may(room: str, path: Path) -> None:
    """DESIGN's import rules hold for every file, and packages import nothing by themselves."""
    source = path.read_text()
    assert complaints(room, source) == []
    if path.name == "__init__.py":
        assert imports(source) == []


def rooms_of(*programs: str) -> set[str]:
    """These entries and rooms, and all that they import, and what that imports."""
    needed, look = set[str](), set(programs)
    while look:
        room = look.pop()
        needed.add(room)
        paths = [ROOT / f"{room}.py"] if room in ENTRIES else (ROOT / room).rglob("*.py")
        tops = {module.partition(".")[0] for path in paths for module, _ in imports(path.read_text())}
        look |= (tops & (ROOMS | ENTRIES)) - needed
    return needed


def test_the_image_holds_every_room_that_its_entries_need() -> None:
    """What its three entries import, and what those import, is copied; nothing that can rebuild a key is."""
    needed = rooms_of("worker", "starter", "codec_server")
    dockerfile, allowed = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    copied = {
        name for name in ROOMS | ENTRIES if f"{name} ./{name}" in dockerfile or f"{name}.py" in dockerfile
    }
    assert copied == needed
    assert all(f"!{name}" in allowed for name in needed)
    assert not needed & {"device", "sandbox"}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("contracts", "import portal.http"),
        ("contracts", "import httpx"),
        ("portal", "from custody.vault import Vault"),
        ("portal", "from temporalio import activity"),
        ("device", "from custody import proofs"),
        ("activities", "def f():\n    from device.rebuild import rebuild"),
        ("workflows", "from activities.check import CheckStep"),
        ("worker", "import sandbox.app"),
        ("starter", "import device"),
        ("codec_server", "import device"),
        ("runtime", "import worker"),
        ("worker", "import bench.engines"),
        ("serving", "from bench.results import kept"),
    ],
)
def test_a_forbidden_import_is_found(room: str, source: str) -> None:
    """The rules can fail: each forbidden import is complained of."""
    assert complaints(room, source) != []
