"""Options reach a command as one typed object, and numbers that are none are refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click
import pytest
from support.command import bulkseed, simple, write_manifest

from bulkseed.cli.arguments import argument, option, takes


@dataclass(slots=True, frozen=True)
class Shared:
    """Options that several commands have."""

    loud: Annotated[bool, option("--loud", is_flag=True)]


@dataclass(slots=True, frozen=True)
class Toy:
    """The arguments of one command."""

    name: Annotated[str, argument()]
    shared: Shared
    times: Annotated[int, option("--times", type=int, default=1)]


def test_a_command_is_called_with_one_object() -> None:
    """Groups of options are objects inside it; what was not given has its default."""
    seen: list[Toy] = []

    @click.command()
    @takes(Toy)
    def toy(given: Toy) -> int:
        seen.append(given)
        return 0

    toy.main(["a", "--loud"], standalone_mode=False)
    assert seen == [Toy("a", Shared(loud=True), 1)]


@pytest.mark.parametrize(
    "call",
    [
        ("apply", "m.jsonl", "--endpoint", "embedded", "--qps", "nan"),
        ("apply", "m.jsonl", "--endpoint", "embedded", "--qps", "inf"),
        ("apply", "m.jsonl", "--endpoint", "embedded", "--qps", "1e308"),
        ("plan", "m.jsonl", "--qps", "nan"),
        ("verify", "m.jsonl", "--endpoint", "embedded", "--timeout", "nan"),
        ("verify", "m.jsonl", "--endpoint", "embedded", "--retry-budget", "inf"),
        ("rollback", "m.ledger.db", "--qps", "-inf"),
        ("bench", "--endpoint", "embedded", "--seconds", "nan"),
        ("bench", "--endpoint", "embedded", "--ladder", "1,nan"),
    ],
)
def test_a_number_that_is_none_is_a_usage_error(tmp_path: Path, call: tuple[str, ...]) -> None:
    """NaN, infinity and what no rate can be end with exit code 2 and the option's name (H16)."""
    write_manifest(tmp_path / "m.jsonl", simple(1))
    done = bulkseed(*call, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert call[-2] in done.stderr
    assert "Internal" not in done.stderr
