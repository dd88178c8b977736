"""Sources where a manifest stands: listed once, routed by name or by their own Target, read by target."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

from bulkseed.engine.stop import Stop
from bulkseed.ledger import read_ledger
from bulkseed.model import InvalidLine, Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.policy.options import Rules
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import specs_of
from bulkseed.targets.apply import ApplyOptions, apply_to_all
from bulkseed.targets.run_folder import make_run_folder
from bulkseed.targets.sources import Sources
from bulkseed.targets.spec import TargetSpec

CANARY = "fake-canary-of-a-source"
A = TargetSpec("a", "cn-hangzhou", match=("a/*",), set={"EncryptionKeyId": "key-of-a"})
B = TargetSpec("b", "cn-hangzhou", match=("b/*", "both/*"))
C = TargetSpec("c", "cn-hangzhou", match=("both/*",))


@pytest.fixture
def names(tmp_path: Path) -> tuple[str, ...]:
    """Describe two sources: one is routed by the names of its secrets, the other names its target."""
    first = {
        "a/1": CANARY,
        "a/2": CANARY,
        "b/1": CANARY,
        "both/1": CANARY,
        "nowhere": CANARY,
        "a/bad name": CANARY,
    }
    (tmp_path / "one.json").write_bytes(orjson.dumps(first))
    (tmp_path / "two.json").write_bytes(orjson.dumps({"elsewhere": CANARY}))
    (tmp_path / "all.toml").write_text(
        '[[source]]\nfrom = "flat:one.json"\n[[source]]\nfrom = "flat:two.json"\nset = { Target = "c" }\n'
    )
    return (str(tmp_path / "all.toml"),)


def test_each_target_gets_its_own_and_what_fits_none_is_told(names: tuple[str, ...]) -> None:
    """By name or by the source's Target, with the target's defaults; the parts and what is told add up."""
    nowhere: list[tuple[int | str, str]] = []

    def told(origin: Origin, why: str) -> None:
        nowhere.append((origin.line, why))

    with SourceManifest(specs_of(names, {}, {})) as listed:
        routed = Sources(names, listed).route([A, B, C], told)
        parts: dict[str, list[SecretDefinition | InvalidLine]] = {
            spec.name: list(routed.open(spec)) for spec in (A, B, C)
        }
    found = {name: [entry.name for entry in part] for name, part in parts.items()}
    assert found == {"a": ["a/1", "a/2"], "b": ["b/1", "both/1"], "c": ["both/1", "elsewhere"]}
    assert dict(routed.definitions) == {"a": 2, "b": 2, "c": 2}
    assert (routed.lines, routed.unrouted) == (7, 2)
    assert nowhere[0][1] == "no target's match fits the name"
    assert "'a/bad name'" in nowhere[1][1]
    first = parts["a"][0]
    assert isinstance(first, SecretDefinition)
    assert first.encryption_key_id == "key-of-a"


def test_a_target_of_a_source_is_refused_where_there_are_no_targets(names: tuple[str, ...]) -> None:
    """It would end up in whatever account is at hand."""
    with SourceManifest(specs_of(names, {}, {})) as listed:
        last = list(listed)[-1]
    assert isinstance(last, InvalidLine)
    assert last.reasons[0].endswith("names a Target: give --targets FILE")


async def test_a_target_reads_its_own_values_alone(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value is read once for each target that gets it, and none stands in the run folder."""
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "fake-id")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "fake-secret")
    async with AsyncExitStack() as stack:
        specs = []
        for number, spec in enumerate((B, C)):
            options = ServiceOptions(
                account_id=f"100000000000000{number}",
                access_key_id="fake-id",
                access_key_secret=SecretValue("fake-secret"),
                create_qps=0,
            )
            served = await stack.enter_async_context(local_service(options))
            specs.append(TargetSpec(spec.name, served.region, served.endpoint, qps=500, match=spec.match))
        folder = make_run_folder(tmp_path / "x.run", specs)
        with SourceManifest(specs_of(names, {}, {})) as listed, folder.locked():
            done = await apply_to_all(specs, Sources(names, listed), folder, ApplyOptions(Rules()), Stop())
    assert (done.lines, done.unrouted, done.results["created"], done.missing) == (7, 4, 4, 0)
    with read_ledger(folder.ledger("c")) as ledger:
        assert {row.name for row in ledger.rows([Outcome.CREATED])} == {"both/1", "elsewhere"}
    for file in folder.path.iterdir():
        assert CANARY.encode() not in file.read_bytes()
