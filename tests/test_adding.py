"""To add a kind is one file and one row: toys of each are added and used through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support.command import environment

from bulkseed.ledger import read_ledger

FORMAT = '''
from bulkseed.manifest.formats import table


def read(blocks):
    """Yield a definition for each line such as ``name is value``."""
    for line, text in enumerate(b"".join(blocks).decode().splitlines(), 1):
        name, _, value = text.partition(" is ")
        yield line, {"SecretName": name, "SecretData": value}


table.FORMATS["toy"] = table.Format(read)
'''

SIGNATURE = '''
import hmac

from bulkseed.wire.message import Request
from bulkseed.wire.signing import verify
from bulkseed.wire.signing.presented import PresentedSignature
from bulkseed.wire.signing.signature import Layers, Signature


def made(secret, request):
    return hmac.new(secret, request.body + request.query.encode(), "sha256").hexdigest()


class Signer:
    """Says everything in one header, and signs query and body."""

    def __init__(self, host, credentials, user_agent="bulkseed"):
        self.host, self.id = host, credentials.access_key_id
        self.secret = credentials.access_key_secret.reveal().encode()

    def sign(self, call, now, nonce):
        from bulkseed.wire.encoding import timestamp

        headers = {"host": self.host, "content-type": "application/x-www-form-urlencoded"}
        request = Request("POST", call.query, headers, call.form.encode())
        said = [self.id, call.action, "2016-01-20", timestamp(int(now)), nonce, made(self.secret, request)]
        headers["x-toy"] = " ".join(said)
        return request


def claim(received):
    key, action, version, at, nonce, signature = received.request.headers["x-toy"].split(" ")
    return PresentedSignature(key, signature, at, nonce, None, action, version)


verify.SIGNATURES["toy"] = Signature(
    Signer,
    lambda received: "x-toy" in received.request.headers,
    claim,
    lambda received, claim, secret: made(secret, received.request),
    lambda received, claim, secret: Layers("", "", "toy canonical", "toy text", claim.signature),
)
'''

ACTION_AND_JOB = '''
from dataclasses import dataclass

import click

from bulkseed.cli.app import COMMANDS
from bulkseed.cli.arguments import takes
from bulkseed.cli.options import ManifestArguments, WatchArguments, open_manifests
from bulkseed.cli.process import run_async
from bulkseed.cli.session import open_session
from bulkseed.cli.target import TargetArguments
from bulkseed.client.operations import OPERATIONS, Operation
from bulkseed.engine.job import RunJob
from bulkseed.engine.options import RunOptions
from bulkseed.jobs.apply import seed
from bulkseed.model import QuotaGroup, Verified
from bulkseed.policy.jobs import JOBS, VERIFY
from bulkseed.policy.steps import Aborted, Ending, GiveUp, Step
from bulkseed.service.access import resources
from bulkseed.service.served import SERVED, Served
from bulkseed.wire.actions.table import ACTIONS, Action
from bulkseed.wire.actions.codec import Document, Parameters, call


@dataclass(frozen=True, slots=True)
class Request(Parameters):
    secret_name: str

    def encode(self):
        return call("CheckName", self)


@dataclass(frozen=True, slots=True)
class Reply(Document):
    request_id: str
    short: bool


ACTIONS["CheckName"] = Action(QuotaGroup.MANAGE, Request, Reply)
SERVED["CheckName"] = Served(
    lambda context, asked: Reply(context.request_id, len(asked.secret_name) < 6), resources.secret
)

CHECK = Step("check")
OPERATIONS[CHECK] = Operation(
    QuotaGroup.MANAGE,
    lambda item: Request(item.name).encode(),
    lambda response, item, time: Reply.read(response, Request(item.name)),
)


def check(rules, subject, retry):
    try:
        found = yield from retry.ask(CHECK)
    except GiveUp as given_up:
        return Aborted(given_up.answer)
    return Ending(Verified.PRESENT if found.short else Verified.DIFFERS, status=200)


JOBS["names"] = VERIFY._replace(name="names", title="Checked names", group=QuotaGroup.MANAGE)
NAMES = RunJob(JOBS["names"], check, CHECK)


@dataclass(frozen=True, slots=True)
class Arguments:
    manifest: ManifestArguments
    target: TargetArguments
    watch: WatchArguments


@click.command()
@takes(Arguments)
def names(given):
    """Look whether names are short."""
    return run_async(_names, given).exit_code


async def _names(given):
    from pathlib import Path

    path = Path("names.db")
    chosen = given.target.chosen(path)
    with open_manifests(given.manifest) as entries:
        async with open_session("names", given.watch, chosen, path, 0) as session:
            hooks = session.hooks
            return await seed(entries, session.target, session.ledger, job=NAMES, qps=7, stats=hooks.stats)


COMMANDS["names"] = ("toy", "look whether names are short")
'''


QUOTA_GROUP = """
from enum import StrEnum

from bulkseed import model

KNOWN = [(group.name, group.value) for group in model.QuotaGroup]
model.QuotaGroup = StrEnum("QuotaGroup", [*KNOWN, ("LOOK", "look")])

from bulkseed.wire.quotas import QUOTAS

LOOK = model.QuotaGroup.LOOK
QUOTAS[LOOK] = 2.0


def let_through():
    # What the local KMS lets through of three requests at once.
    from bulkseed.service.access.quota import Quota
    from bulkseed.service.options import ServiceOptions

    quota = Quota(ServiceOptions().limits)
    return [quota.take(LOOK, 0.0) is None for _ in range(3)]


assert let_through() == [True, True, False]
"""


RUN = """
import json, os, sys, tempfile

calls, ours = json.loads(sys.argv[1]), os.dup(1)
sys.path.insert(0, ".")
import toy
from bulkseed.cli.app import run

done = []
for call in calls:
    ends = [tempfile.TemporaryFile() for _ in range(2)]
    for number, end in enumerate(ends, 1):
        os.dup2(end.fileno(), number)
    code = run(call)
    for stream, end in zip((sys.stdout, sys.stderr), ends):
        stream.flush(), end.seek(0)
    done.append([code, *(end.read().decode() for end in ends)])
os.write(ours, json.dumps(done).encode())
"""
"""Runs the command line a few times in one process, as most of the time is that of imports."""


class Ended(NamedTuple):
    """A run of the command line."""

    code: int
    stdout: str
    stderr: str


def _run(folder: Path, source: str, *calls: list[str]) -> list[Ended]:
    """Run the command line for each call, in a process that has imported a toy."""
    (folder / "toy.py").write_text(source)
    ended = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(calls)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return [Ended(*end) for end in json.loads(ended.stdout)]


def test_a_manifest_format_is_its_file_and_one_row(tmp_path: Path) -> None:
    """Its suffix, compressed or not, the option's choices and the ledger's name follow from the row."""
    (tmp_path / "some.toy").write_text("app/a is fake-1\napp/b is fake-2\n")
    (tmp_path / "other").write_text("app/c is fake-3\n")
    named, told, help_page = _run(
        tmp_path,
        FORMAT,
        ["plan", "some.toy", "--output", "json"],
        ["plan", "other", "--format", "toy", "--output", "json"],
        ["plan", "--help"],
    )
    plan = json.loads(named.stdout)
    assert (plan["to_send"], plan["ledger"], named.code) == (2, "some.ledger.db", 0)
    assert json.loads(told.stdout)["to_send"] == 1
    assert "|toy]" in help_page.stdout


def test_a_signature_is_its_file_and_one_row(tmp_path: Path) -> None:
    """The client signs with it, the local KMS checks it, and its layers are shown."""
    (tmp_path / "m.jsonl").write_text('{"SecretName": "app/a", "SecretData": "fake"}\n')
    signed = ["m.jsonl", "--signature", "toy"]
    applied, explained, help_page = _run(
        tmp_path,
        SIGNATURE,
        ["apply", *signed, "--endpoint", "embedded", "--output", "json"],
        ["explain", *signed, "--line", "1"],
        ["apply", "--help"],
    )
    assert applied.code == 0, applied.stderr
    assert json.loads(applied.stdout)["outcomes"]["created"] == 1
    assert "toy canonical" in explained.stdout
    assert "|toy]" in help_page.stdout


def test_an_action_and_a_job_are_a_file_and_a_row_each(tmp_path: Path) -> None:
    """The local KMS serves the action; the ledger, its audit and the report know the job by its row.

    It is paced by a quota group that no other job is paced by, and its ledger is none of an apply or verify.
    """
    lines = [json.dumps({"SecretName": name, "SecretData": "fake"}) for name in ("app/a", "app/long")]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    others = ["m.jsonl", "--endpoint", "embedded", "--ledger", "names.db"]
    done, status, rows, audit, _, *refused = _run(
        tmp_path,
        ACTION_AND_JOB,
        ["names", "m.jsonl", "--endpoint", "embedded"],
        ["ledger", "status", "names.db"],
        ["ledger", "rows", "names.db", "--outcome", "differs"],
        ["ledger", "audit", "names.db"],
        ["report", "names.db", "-o", "page.html"],
        ["apply", *others],
        ["verify", *others],
    )
    assert done.code == 1, done.stderr
    assert "the last (names) ended" in status.stdout
    assert "definitions: 2 = 1 present + 1 differs" in status.stdout
    assert [json.loads(row)["secret_name"] for row in rows.stdout.splitlines()] == ["app/long"]
    assert "everything adds up" in audit.stdout
    assert "manage: at most 2 within a second, limit 7" in audit.stdout
    assert "Checked names" in (tmp_path / "page.html").read_text()
    for command, ended in zip(("apply", "verify"), refused, strict=True):
        assert ended.code == 4
        assert f"names.db records runs of names: {command} needs another --ledger" in ended.stderr


def test_a_quota_group_is_a_member_and_a_row(tmp_path: Path) -> None:
    """The local KMS limits it, a job is paced by it, and the ledger's audit knows it."""
    lines = [json.dumps({"SecretName": f"app/{n}", "SecretData": "fake"}) for n in range(3)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    job = ACTION_AND_JOB.replace("QuotaGroup.MANAGE", "QuotaGroup.LOOK").replace("qps=7", "qps=2")
    done, audit = _run(
        tmp_path,
        QUOTA_GROUP + job,
        ["names", "m.jsonl", "--endpoint", "embedded"],
        ["ledger", "audit", "names.db"],
    )
    assert done.code == 0, done.stderr
    assert "everything adds up" in audit.stdout
    with read_ledger(tmp_path / "names.db") as ledger:
        assert [(attempt.group, attempt.status) for attempt in ledger.attempts()] == [("look", 200)] * 3
        assert [run.limits["look"] for run in ledger.runs()] == [2]
