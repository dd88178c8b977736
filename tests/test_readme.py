"""The README and the manual are true: their commands, examples and tables are what the code says."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import socket
from pathlib import Path

import click
import pytest
import yaml
from support import reference
from support.command import bulkseed, start
from support.pages import COMMANDS, PAGES, TEXTS, a_store, blocks, commands, files, follow, shell

from bulkseed.cli.app import app
from bulkseed.errors import BulkseedError, LedgerError, UsageError
from bulkseed.manifest import value_from
from bulkseed.model import Outcome, Verified
from bulkseed.service.access.policies import read_policies
from bulkseed.service.shell.databases import read_databases
from bulkseed.service.shell.faults import KINDS, read_faults
from bulkseed.sources.named import NamedValues

ROOT = Path(__file__).parents[1]
RUNNABLE = {name for name, text in TEXTS.items() if any(block.language in COMMANDS for block in blocks(text))}


def test_the_readme_is_short() -> None:
    """A stranger reads it in minutes; everything else is a page."""
    assert len(TEXTS["README"].splitlines()) <= 300


@pytest.mark.parametrize("page", sorted(RUNNABLE))
def test_every_command_on_a_page_is_run_or_says_why_not(page: str) -> None:
    """No block of commands is left without a word on what becomes of it."""
    for block in blocks(TEXTS[page]):
        if block.language in COMMANDS:
            told = [block.mark(word) is not None for word in ("run", "not run")]
            assert any(told) or block.language == "console", block.text


@pytest.mark.parametrize("page", sorted(RUNNABLE))
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    """Followed from its top to its end, against the local KMS, each command ends and prints as told."""
    with a_store(TEXTS[page]) as text:
        follow(text, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_on_a_page_exist(page: str) -> None:
    """Every call, also one that is not run, has a command and options that there are."""
    for _, *words in commands(TEXTS[page]):
        command: click.Command | None = app
        with click.Context(app) as context:
            while isinstance(command, click.Group) and words and not words[0].startswith("-"):
                command = command.get_command(context, words.pop(0))
        assert command is not None, words
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def anchor(heading: str) -> str:
    """Return what GitHub makes of a heading: small letters, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A link to a file, or to a heading, finds it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if not link.startswith(("https://", "http://")):
            path, _, heading = link.partition("#")
            found = PAGES[page].parent / path if path else PAGES[page]
            assert found.exists(), link
            if heading:
                headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
                assert heading in map(anchor, headings), link


def test_pages_link_only_to_pages() -> None:
    """They ship in the package, where nothing else of the repository is."""
    for page in PAGES.keys() - {"README"}:
        links = [link for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]) if "://" not in link]
        assert all(link.partition("#")[0].removesuffix(".md") in {"", *PAGES} for link in links), links


def test_the_values_that_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of the table of `SecretDataFrom` gives a value."""
    monkeypatch.setenv("DB_PASSWORD", "fake")
    (tmp_path / "orders.pem").write_text("fake\n")
    specs = re.findall(r"^\| `(\{.*?\})` \|", TEXTS["values"], re.MULTILINE)
    assert len(specs) == 5
    values = NamedValues()
    for spec in specs:
        wanted = value_from.resolve(json.loads(spec), None, tmp_path, values)
        assert wanted.problem is None
        assert wanted.text or wanted.unread is not None
    values.close()


def test_the_sets_of_characters_are_the_code_s() -> None:
    """The sets that a charset may name, and its default."""
    told = re.search(r"sets joined by `\+`: (.*?)\. .*? Unless said, `(.*?)`", TEXTS["values"])
    assert told is not None
    assert re.findall(r"\w+", told[1]) == list(value_from.SETS)
    assert told[2] == value_from.CHARSET


def test_the_local_kms_prints_what_it_says(tmp_path: Path) -> None:
    """The line of ``bulkseed serve`` has the keys that the page shows."""
    found = re.search(r"```console\n\$ bulkseed (serve .*?)\n(.*?)\n```", TEXTS["local-kms"])
    assert found is not None
    served = start(*found[1].replace("/tmp/kms", str(tmp_path)).split(), "--port", "0", cwd=tmp_path)  # noqa: S108  # not used
    try:
        assert served.stdout is not None
        said = json.loads(served.stdout.readline())
    finally:
        served.terminate()
        served.communicate()
    shown = json.loads(found[2])
    assert said.keys() == shown.keys()
    assert (said["region"], said["access_key_id"]) == (shown["region"], shown["access_key_id"])


def test_bulkseed_works_with_its_own_server(tmp_path: Path) -> None:
    """The commands on the page, at a free port; the faults that it was given happen, and are overcome."""
    page = TEXTS["local-kms"]
    for name in ("faults.json", "mine.jsonl"):
        (tmp_path / name).write_text(files(page)[name], encoding="utf-8")
    (script,) = [block.text for block in blocks(page) if "--faults faults.json" in block.text]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve = "command bulkseed serve"  # which is not what the pages' commands go through: $! is the server
    script = script.replace("bulkseed serve", f"{serve} --port {port}").replace("8553", str(port))
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "definitions: 2 = 1 created + 1 adopted" in done.stdout


def test_every_variable_of_ours_is_documented() -> None:
    """The table of the environment has each ``BULKSEED_…`` that the code reads, and no other."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "bulkseed").rglob("*.py"))
    variables = r"\b_?BULKSEED_[A-Z_]+"
    read = set(re.findall(variables, code))
    told = set(re.findall(variables, TEXTS["environment"]))
    beginnings = {name for name in read if name.endswith("_")}
    assert read - beginnings <= told
    for name in told - read:
        assert name.startswith(tuple(beginnings)), name
    assert all(any(name.startswith(beginning) for name in told) for beginning in beginnings)


def test_the_outcome_table_is_the_code_s() -> None:
    """Every outcome, then every result of a verify, in order, settled or not."""
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", TEXTS["outcomes"], re.MULTILINE)
    assert rows == [(o.value, "yes" if o.settled else "no") for o in (*Outcome, *Verified)]


def test_the_exit_codes_are_the_code_s() -> None:
    """The table of exit codes covers what errors carry."""
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXTS["outcomes"], re.MULTILINE)}
    assert codes >= {UsageError.exit_code, LedgerError.exit_code, BulkseedError.exit_code, 0, 3, 130}


def test_what_the_code_writes_is_up_to_date() -> None:
    """Commands, failures, schema, events, metrics and figures are the code's own words, each on one page."""
    assert reference.stale() == [], "run: python tests/support/reference.py"


def test_the_example_files_of_the_local_kms_are_read(tmp_path: Path) -> None:
    """Each JSON example is what the service takes, and each fault it names exists."""
    readers = {
        "faults": read_faults,
        "policies": lambda path: read_policies(path, "1000000000000001"),
        "rds": read_databases,
    }
    for option, read in readers.items():
        found = re.search(rf"^\| `--{option}` \| (.*) \| `(.*)` \|$", TEXTS["local-kms"], re.MULTILINE)
        assert found is not None
        (tmp_path / option).write_text(found[2], encoding="utf-8")
        read(tmp_path / option)
        if option == "faults":
            assert set(re.findall("`([\\w-]+)`", found[1])) == set(KINDS)


def recipe(page: str, name: str) -> str:
    """Return the text of a recipe."""
    (found,) = [block.text for block in blocks(TEXTS[page]) if block.mark("recipe") == f": {name}"]
    return found


def recipe_commands() -> list[tuple[str, list[str]]]:
    """Return the commands that the recipes run, each parsed out of its own format, and their pages."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    unit.read_string(recipe("ci", "systemd"))
    job = yaml.safe_load(recipe("kubernetes", "kubernetes"))
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    workflow = yaml.safe_load(recipe("ci", "github"))
    runs = [step["run"] for step in workflow["jobs"]["plan"]["steps"] if "run" in step]
    return [
        ("ci", shlex.split(unit["Service"]["ExecStart"])),
        ("kubernetes", container["command"]),
        *(("ci", shlex.split(run)) for run in runs if run.startswith("bulkseed")),
    ]


RECIPES = recipe_commands()


@pytest.mark.parametrize(("page", "call"), RECIPES, ids=[" ".join(call) for _, call in RECIPES])
def test_the_commands_of_the_recipes_run(page: str, call: list[str], tmp_path: Path) -> None:
    """Each recipe is well-formed, and does its work with the page's files, here against the local KMS.

    (G5)
    """
    for name, text in files(TEXTS[page]).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program, *arguments = call
    assert Path(program).name == "bulkseed"
    if arguments[0] == "apply" and "--endpoint" not in arguments:
        arguments += ["--endpoint", "embedded"]
    done = bulkseed(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("page", "heading", "told"),
    [
        ("credentials", "Through a proxy", "`NO_PROXY` says what goes directly"),
        ("ledger", "Copy, move, delete, upgrade", "Network file systems that do not lock"),
        ("values", "Change a value", "**Raise the `VersionId`.**"),
        ("values", "Bring an old value back", "rollback"),
        ("rollback", "Put values back instead", "`--restore-values` nothing is deleted"),
    ],
)
def test_what_a_fault_was_asked_about_has_its_place(page: str, heading: str, told: str) -> None:
    """Under the heading that the list of questions leads to (C1, F8, G2, H1)."""
    _, found, section = TEXTS[page].partition(f"\n## {heading}\n")
    assert found
    assert told in section.partition("\n## ")[0]


def test_first_comes_where_a_command_goes() -> None:
    """Before the first command, marked, in a sentence of its own (G9)."""
    before, _, _ = (ROOT / "README.md").read_text(encoding="utf-8").partition("```")
    assert "\n\n**Without `--endpoint embedded` a command talks to the real service.** " in before


def test_ten_words_are_explained() -> None:
    """Each once, and the rest of what needs it below them (G29)."""
    page = TEXTS["words"]
    words = re.findall(r"^- \*\*([\w ]+)\*\*[:,]", page, re.MULTILINE)
    assert len(words) == len(set(words)) == 10
    assert {"settled", "claim", "CMK"} <= set(words)
    for word in ("`kst-…`", "**knee**", "**half-open second**"):
        assert word in page


def test_nothing_is_installed_from_an_index_that_does_not_have_it() -> None:
    """Until it is published, pages and messages say what works in a clone (G6)."""
    pages = [ROOT / "README.md", *(ROOT / "bulkseed").rglob("*.md"), *(ROOT / "bulkseed").rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    wrong = re.compile(r"(?:pip|pipx|uv) install (?:-\S+ )*['\"]?bulkseed\b")
    assert [str(path) for path, text in texts.items() if wrong.search(text)] == []
    assert any(re.search(r"pip install (?:-e )?['\"]?\.", text) for text in texts.values())
