"""The floors of the house: a package imports only from lower floors, and never what its floor forbids."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bulkseed"
FLOORS = {
    "model": 0, "stretch": 0, "errors": 0, "humanize": 0,
    "wire": 1, "policy": 1,
    "manifest": 2, "ledger": 2, "transport": 2, "pacing": 2, "report": 2,
    "client": 3, "service": 3, "sources": 3,
    "engine": 4,
    "jobs": 5, "targets": 5, "cluster": 5,
    "cli": 6, "testing": 6, "__init__": 6, "__main__": 6,
}  # fmt: skip
ABOVE_ITS_SIBLINGS = {
    ("report", "ledger"),
    ("sources", "client"),
    ("targets", "jobs"),
    ("cluster", "targets"),
    ("cluster", "jobs"),
}
"""On one floor, the first may import the second."""
FORBIDDEN = {
    "wire policy": {"asyncio", "aiohttp", "anyio", "time", "random", "uuid", "os", "socket", "secrets"},
    "manifest ledger report": {"asyncio", "aiohttp", "anyio"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


MODULES = {
    ".".join(("bulkseed", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}
TWICE = {
    *("Request", "Reply"),  # each action of the API has both
}
"""Type names that are there more than once."""


def room(path: Path) -> str:
    """Return the top-level room that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    """Return the rooms of bulkseed that a file imports."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("bulkseed.")}
    return {name if name in FLOORS else "__init__" for name in names} - {room(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_lower_floors(path: Path) -> None:
    """A room reaches down, never up or sideways; the top floor may look around on its own floor."""
    mine = FLOORS[room(path)]
    wrong = {
        other
        for other in rooms_imported(path)
        if FLOORS[other] > mine
        or (FLOORS[other] == mine and 0 < mine < 6 and (room(path), other) not in ABOVE_ITS_SIBLINGS)
    }
    assert not wrong, f"{path.name} (floor {mine}) imports {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_lower_floors_touch_no_event_loop_clock_or_socket(path: Path) -> None:
    """What decides is pure: clocks, randomness and sockets live above."""
    top_level = {name.split(".")[0] for name in imports(path)}
    for rooms, forbidden in FORBIDDEN.items():
        if room(path) in rooms.split():
            assert not top_level & forbidden


def test_the_service_does_not_know_the_policy() -> None:
    """The local KMS answers as the documents say, not as our client would like."""
    assert not [p for p in FILES if room(p) == "service" and "policy" in rooms_imported(p)]


@pytest.mark.parametrize("module", ["model", "stretch", "errors", "humanize"])
def test_the_lowest_floor_imports_the_standard_library_only(module: str) -> None:
    """Whatever else it may need stands higher."""
    top_level = {name.split(".")[0] for name in imports(PACKAGE / f"{module}.py")}
    assert top_level <= sys.stdlib_module_names | {"bulkseed"}


def module_of(name: str) -> str:
    """Return the module that an imported name is, or is in."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def test_modules_have_no_cycles() -> None:
    """The modules can be ordered, also those of one room, also where an import is for types only."""
    graph = {
        module: {module_of(name) for name in imports(path) if name.split(".")[0] == "bulkseed"} - {module}
        for module, path in MODULES.items()
    }
    graph.pop("bulkseed")  # its names are imported when they are asked for
    graphlib.TopologicalSorter(graph).prepare()


def test_no_call_is_a_list_of_everything() -> None:
    """No function has more than nine parameters, but the one that everybody calls from Python."""
    wide = {
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len({a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)} - {"self"})
        > 9
    }
    assert wide <= {"seed"}


def test_no_folder_outgrows_its_room() -> None:
    """No folder has more than 20 modules besides `__init__`, but that of the actions, one each."""
    sizes = Counter(str(path.parent.relative_to(PACKAGE)) for path in FILES if path.name != "__init__.py")
    assert {folder for folder, size in sizes.items() if size > 20} <= {"wire/actions"}


def test_a_type_name_means_one_thing() -> None:
    """No two classes of the package have the same name."""
    names = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} <= TWICE


def test_rooms_have_no_cycles() -> None:
    """The rooms can be ordered."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(room(path), set()).update(rooms_imported(path))
    graph.pop("__init__"), graph.pop("__main__", None)
    graphlib.TopologicalSorter(graph).prepare()


def test_every_room_is_on_the_plan() -> None:
    """A new top-level module gets a floor."""
    assert {room(p) for p in FILES} <= set(FLOORS)


def test_no_file_outgrows_its_room() -> None:
    """No file is longer than 400 lines, those of the tests neither."""
    files = [*FILES, *Path(__file__).parent.rglob("*.py")]
    assert not [f"{p} has {n} lines" for p in files if (n := len(p.read_text().splitlines())) > 400]
