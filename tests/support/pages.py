"""Reads the README and the pages of the manual: their files, their commands, and what is said about each.

A line above a block of code says what becomes of it:

    <!-- file: NAME -->                  the block is written to this file
    <!-- run -->                         the block runs, and ends with 0
    <!-- run: TEXT -->                   likewise, and prints this text
    <!-- run exits 1: TEXT -->           likewise, and ends with 1
    <!-- example -->                     Python, which prints the block of text that follows
    <!-- not run: WHY -->                the block does not run

A block of ``console`` shows one command and all that it prints.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.command import BULKSEED, environment
from support.openbao import ROOT_TOKEN, openbao

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "bulkseed" / "manual"
PAGES = {"README": ROOT / "README.md", **{path.stem: path for path in sorted(MANUAL.glob("*.md"))}}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
COMMANDS = {"sh", "console"}
_VAULT = "vault.example:8200"
_BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ON_THE_LOCAL_KMS = r"""
bulkseed() {
  case "$*" in
    *--region\ ap-*) set -- "$@" --data-dir .kms-of-another-region ;;
  esac
  case "$*" in
    *--endpoint*) command bulkseed "$@" ;;
    apply*|doctor*|plan*--online*|verify*|rollback*|ledger*--online*)
      command bulkseed "$@" --endpoint embedded ;;
    *) command bulkseed "$@" ;;
  esac
}
"""


class Block(NamedTuple):
    """A block of code, and the marks above it."""

    language: str
    text: str
    marks: tuple[str, ...]

    def mark(self, word: str) -> str | None:
        """Return what a mark says after its word; None without such a mark."""
        for mark in self.marks:
            if mark == word or mark.startswith((f"{word}:", f"{word} ")):
                return mark.removeprefix(word)
        return None


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of code of a page."""
    for marks, language, body in _BLOCK.findall(text):
        yield Block(language, body, tuple(re.findall(r"^<!-- (.*) -->$", marks, re.MULTILINE)))


def files(text: str) -> dict[str, str]:
    """Return the files that a page has; of several with one name the first."""
    found: dict[str, str] = {}
    for block in blocks(text):
        if (marked := block.mark("file")) is not None:
            found.setdefault(marked.removeprefix(": "), block.text)
    return found


@contextmanager
def a_store(text: str) -> Iterator[str]:
    """Give a page with OpenBao in place of the Vault that it speaks of, and the manual's least permission."""
    if _VAULT not in text:
        yield text
        return
    with openbao() as bao:
        bao.put("secret", "prod/orders/db", {"password": "fake"})
        bao.put("secret", "prod/orders/api", {"key": "fake-api-key"})
        policy = next(block.text for block in blocks(TEXTS["source-vault"]) if block.language == "hcl")
        text = text.replace("VAULT_TOKEN=…", f"VAULT_TOKEN={bao.token(policy)}")
        text = text.replace("WRITER_TOKEN=…", f"WRITER_TOKEN={ROOT_TOKEN}")
        yield text.replace(f"https://{_VAULT}", bao.address)


def follow(text: str, folder: Path) -> None:
    """Do what a page says, from its top to its end, in `folder`, with the local KMS as the service."""
    (folder / "manifests").symlink_to(ROOT / "manifests")
    for name, content in files(text).items():
        (folder / name).write_text(content, encoding="utf-8")
    printed, exports = None, ""
    for block in blocks(text):
        if (marked := block.mark("file")) is not None:
            (folder / marked.removeprefix(": ")).write_text(block.text, encoding="utf-8")
        elif (said := block.mark("run")) is not None:
            _run(exports + block.text, said, folder)
            exports += "".join(re.findall(r"^export .*\n", block.text, re.MULTILINE))
        elif block.mark("example") is not None:
            printed = _python(block.text, folder)
        elif block.language == "console" and block.mark("not run") is None:
            command, _, output = block.text.removeprefix("$ ").partition("\n")
            assert shell(command, folder).stdout == output
        elif block.language == "text" and printed is not None:
            assert printed == block.text
            printed = None


def _run(script: str, said: str, folder: Path) -> None:
    code, text = re.fullmatch(r"(?: exits (\d+))?(?:: (.*))?", said).groups()  # type: ignore[union-attr]  # a typing error of the page fails here
    done = shell(script, folder)
    assert done.returncode == int(code or 0), (script, done.stdout, done.stderr)
    assert (text or "") in done.stdout, (script, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of a page; those that talk to a service and name none have the local KMS."""
    return subprocess.run(
        ["sh", "-euc", _ON_THE_LOCAL_KMS + script],
        cwd=folder,
        env=environment(PATH=f"{BULKSEED.parent}:{environment()['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
    )


def _python(code: str, folder: Path) -> str:
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def commands(text: str) -> list[list[str]]:
    """Return every call of bulkseed in the blocks that are commands, as words."""
    found = []
    for block in blocks(text):
        if block.language in COMMANDS:
            for line in block.text.replace("\\\n", " ").splitlines():
                for part in re.split(r" [|] | && ", line.removeprefix("$ ")):
                    words = shlex.split(part, comments=True)
                    if words[:1] == ["bulkseed"]:
                        found.append(words)
    return found
