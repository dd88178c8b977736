"""The kept results of `benchmarks.mutants`: by module, as JSON to go on from, and as a page to read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from benchmarks.mutations import ROOT, Mutant

ABOUT = """\
`python -m benchmarks.mutants --keep` makes one change at a time in what decides. Caught: a test fails. Where
fewer were tried than there are, they are a sample; what is known to change nothing is not tried. Commit: the
last at which one of the module was tried; what was caught before was caught by tests that are there still."""
RESULTS = ROOT / "benchmarks" / "results"


class Kept(TypedDict):
    """What is kept of a module. `survivors`: of all that were tried, by their keys."""

    tried: int
    survivors: list[str]
    commit: str


def kept_results(folder: Path = RESULTS) -> dict[str, Kept]:
    """Return what was kept, by module."""
    path = folder / "mutants.json"
    kept: dict[str, Kept] = json.loads(path.read_text())["figures"] if path.exists() else {}
    return kept


def note(
    kept: dict[str, Kept], tried: Sequence[Mutant], survivors: Sequence[Mutant], *, again: bool, commit: str
) -> None:
    """Take note of what was tried. `again`: it survived before, and the other results of its module stay."""
    for module in {mutant.module for mutant in tried}:
        of_it = [mutant.key for mutant in tried if mutant.module == module]
        alive = [mutant.key for mutant in survivors if mutant.module == module]
        number = len(of_it)
        if again:
            number = kept[module]["tried"]
            alive += [key for key in kept[module]["survivors"] if key not in of_it]
        kept[module] = Kept(tried=number, survivors=sorted(alive), commit=commit)


def write(
    kept: dict[str, Kept], mutants: Iterable[Mutant], known: Mapping[str, str], folder: Path = RESULTS
) -> None:
    """Write all kept results. `mutants` are all of today, `known` those that change nothing, and why."""
    keys: dict[str, set[str]] = {}
    for mutant in mutants:
        keys.setdefault(mutant.module, set()).add(mutant.key)
    lines = [["module", "mutants", "change nothing", "tried", "caught", "share", "commit"]]
    lines.append(["---", *["---:"] * 5, "---"])
    sums = [0, 0, 0, 0]
    for module in [module for module in keys if module in kept]:
        forget(kept[module], keys[module].difference(known))
        result = kept[module]
        caught = result["tried"] - len(result["survivors"])
        figures = len(keys[module]), len(keys[module].intersection(known)), result["tried"], caught
        sums = [a + b for a, b in zip(sums, figures, strict=True)]
        lines.append([f"`{module}`", *_cells(figures), result["commit"]])
    lines.append(["all", *_cells(sums), ""])
    alive = (key for result in kept.values() for key in result["survivors"])
    parts = [
        "# Mutants",
        ABOUT,
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "## Not caught\n\n" + _items(f"`{key}`" for key in alive),
        "## Known to change nothing\n\n" + _items(f"`{key}`: {why}" for key, why in known.items()),
    ]
    folder.joinpath("mutants.json").write_text(json.dumps({"figures": kept}, indent=1, sort_keys=True) + "\n")
    folder.joinpath("mutants.md").write_text("\n\n".join(parts) + "\n")


def forget(result: Kept, changing: Collection[str]) -> None:
    """Take out of the survivors what is no mutant any more, or is known to change nothing by now."""
    alive = [key for key in result["survivors"] if key in changing]
    result["tried"] -= len(result["survivors"]) - len(alive)
    result["survivors"] = alive


def _cells(figures: Sequence[int]) -> list[str]:
    return [*map(str, figures), f"{figures[3] / max(1, figures[2]):.1%}"]


def _items(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts) or "None."
