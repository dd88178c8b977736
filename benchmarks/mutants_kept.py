"""The kept results of `benchmarks.mutants`: by module, as JSON to go on from, and as a page to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from benchmarks.mutations import ROOT, Mutant

ABOUT = """\
`python -m benchmarks.mutants --keep` makes one change at a time in what decides. Caught: a test fails.
What is known to change nothing is not tried."""
RESULTS = ROOT / "benchmarks" / "results"


class Kept(TypedDict):
    """What is kept of a module. `survivors`: of all that were tried, by their keys."""

    tried: int
    survivors: list[str]
    commit: str


def kept_results() -> dict[str, Kept]:
    """Return what was kept, by module."""
    path = RESULTS / "mutants.json"
    kept: dict[str, Kept] = json.loads(path.read_text()) if path.exists() else {}
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


def write(kept: Mapping[str, Kept], mutants: Sequence[Mutant], known: Mapping[str, str]) -> None:
    """Write all kept results. `known`: which change nothing, and why."""
    lines = [["module", "mutants", "change nothing", "tried", "caught", "share", "commit"]]
    lines.append(["---", *["---:"] * 5, "---"])
    alive: list[str] = []
    sums = [0, 0, 0, 0]
    for module in dict.fromkeys(mutant.module for mutant in mutants if mutant.module in kept):
        keys = {mutant.key for mutant in mutants if mutant.module == module}
        result = kept[module]
        survivors = [key for key in result["survivors"] if key not in known]
        tried = result["tried"] - len(result["survivors"]) + len(survivors)
        alive += [key for key in survivors if key in keys]
        figures = len(keys), len(keys.intersection(known)), tried, tried - len(survivors)
        sums = [a + b for a, b in zip(sums, figures, strict=True)]
        lines.append([f"`{module}`", *map(str, figures), f"{figures[3] / tried:.1%}", result["commit"]])
    lines.append(["all", *map(str, sums), f"{sums[3] / sums[2]:.1%}", ""])
    parts = [
        "# Mutants",
        ABOUT,
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "## Not caught\n\n" + _items(f"`{key}`" for key in alive),
        "## Known to change nothing\n\n" + _items(f"`{key}`: {why}" for key, why in known.items()),
    ]
    RESULTS.joinpath("mutants.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    RESULTS.joinpath("mutants.md").write_text("\n\n".join(parts) + "\n")


def _items(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts) or "None."
