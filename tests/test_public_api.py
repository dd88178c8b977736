"""The public names: all there, sorted, documented, and usable with types."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import bulkseed


def test_the_public_names_are_sorted_and_importable() -> None:
    """`__all__` says what there is, and everything in it can be had."""
    assert bulkseed.__all__ == sorted(bulkseed.__all__)
    assert dir(bulkseed) == bulkseed.__all__
    for name in bulkseed.__all__:
        assert getattr(bulkseed, name) is not None


def test_the_type_checker_sees_the_same_names() -> None:
    """The imports under TYPE_CHECKING and the table of homes agree."""
    source = Path(inspect.getfile(bulkseed)).read_text()
    seen = {
        line.split(" as ")[1].strip() for line in source.splitlines() if " as " in line and "import" in line
    }
    assert seen == set(bulkseed.__all__)


def test_everything_public_is_documented() -> None:
    """Each name has a docstring of its own."""
    assert [name for name in bulkseed.__all__ if not inspect.getdoc(getattr(bulkseed, name))] == []


def test_help_shows_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default argument would be printed by help() and inspect: none holds a key (G4)."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-in-the-environment")
    script = (
        "import bulkseed, pydoc\n"
        "for name in bulkseed.__all__:\n"
        "    print(pydoc.render_doc(getattr(bulkseed, name)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "Credentials" in shown
    assert "canary" not in shown


@pytest.mark.parametrize("name", ["ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN"])
@pytest.mark.parametrize("text", ["fake-key\n", " fake-key", "fake key"])
def test_white_space_in_a_key_is_said(name: str, text: str) -> None:
    """The service would call it a wrong secret; the message does not show the key (F3)."""
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "fake-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "fake-secret"}
    with pytest.raises(bulkseed.CredentialsError, match=f"{name} has white space") as caught:
        bulkseed.Credentials.from_environment(keys | {f"ALIBABA_CLOUD_{name}": text})
    assert "fake-key" not in str(caught.value)


def test_the_version_is_written_once() -> None:
    """The package is built with the version that the code says."""
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["hatch"]["version"]["path"] == "bulkseed/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", bulkseed.__version__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Lazy imports do not hide mistakes."""
    with pytest.raises(AttributeError, match="nonsense"):
        _ = bulkseed.nonsense


async def test_the_example_of_the_contract_works(tmp_path: Path) -> None:
    """A program provisions a manifest into the local KMS; a second run sends nothing."""
    manifest = tmp_path / "prod.jsonl"
    manifest.write_text(
        '{"SecretName": "a", "SecretData": "fake"}\n{"SecretName": "b", "SecretData": "fake"}\n'
    )
    rows: list[tuple[str | None, str]] = []

    def keep(row: bulkseed.Row) -> None:
        rows.append((row.name, row.outcome))

    async with bulkseed.local_service() as target:

        async def run() -> bulkseed.Summary:
            with (
                bulkseed.open_manifest(manifest) as definitions,
                bulkseed.open_ledger(tmp_path / "prod.ledger.db", target) as ledger,
            ):
                return await bulkseed.seed(definitions, target, ledger, qps=10, on_row=keep)

        first, second = await run(), await run()
    first.raise_for_failures()
    assert rows == [("a", "created"), ("b", "created")]
    assert (first.attempts, second.attempts) == (2, 0)


async def test_definitions_may_come_from_a_program(tmp_path: Path) -> None:
    """Any iterable or async iterable of definitions will do, and failures raise when asked to."""

    async def definitions() -> AsyncIterator[bulkseed.SecretDefinition | bulkseed.InvalidLine]:
        yield bulkseed.SecretDefinition("a", bulkseed.SecretValue("fake"), "v1", bulkseed.Origin("code", 1))
        yield bulkseed.InvalidLine(bulkseed.Origin("code", 2), ("made up",))

    async with bulkseed.local_service() as target:
        with bulkseed.open_ledger(tmp_path / "x.ledger.db", target) as ledger:
            summary = await bulkseed.seed(definitions(), target, ledger)
    assert (summary.outcomes[bulkseed.Outcome.CREATED], summary.exit_code) == (1, 1)
    with pytest.raises(bulkseed.UnfinishedError, match="1 invalid"):
        summary.raise_for_failures()


async def test_what_was_provisioned_is_verified_and_rolled_back_from_python(tmp_path: Path) -> None:
    """The other two jobs are as near as the first."""
    origin = bulkseed.Origin("prod", 1)
    definitions = [bulkseed.SecretDefinition("a", bulkseed.SecretValue("fake"), "v1", origin)]
    options, gone = bulkseed.RunOptions(qps=0), list[str]()
    async with bulkseed.local_service() as target:
        with bulkseed.open_ledger(tmp_path / "prod.ledger.db", target) as ledger:
            await bulkseed.seed(definitions, target, ledger, qps=0)
            with bulkseed.open_ledger(tmp_path / "prod.verify.db", target) as verifies:
                found = await bulkseed.verify(definitions, target, verifies, options=options)
            assert (found.run.exit_code, found.as_dict()["results"]["identical"]) == (0, 1)
            rolled_back = await bulkseed.rollback(
                target, ledger, options=options, on_end=lambda name, _end: gone.append(name)
            )
    assert (rolled_back.run.exit_code, gone) == (0, ["a"])


def test_no_dependency_may_have_a_known_hole() -> None:
    """The lowest versions that pip may install are those in which the advisories are mended (H24)."""
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    mended = {"aiohttp": (3, 13, 3), "orjson": (3, 11, 6), "cryptography": (44, 0, 1)}
    lowest: dict[str, tuple[int, ...]] = {}
    for dependency in settings["project"]["dependencies"]:
        found = re.match(r"([\w-]+)>=([\d.]+)", dependency)
        if found is not None:
            lowest[found[1]] = tuple(map(int, found[2].split(".")))
    assert {name: lowest[name] >= version for name, version in mended.items()} == dict.fromkeys(mended, True)
