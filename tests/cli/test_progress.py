"""Progress: a bar on a real terminal that fits it, lines for logs elsewhere, and nothing when told so."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from support import virtual_clock, zygote
from support.command import BULKSEED, KEY_ID, KEY_SECRET, bulkseed, environment, simple, write_manifest
from support.serve_process import SECRET, UNLIMITED_FLAGS, served
from support.stub_kms import StubKms
from support.world import Trouble, World

from bulkseed.cli.options import LogArguments
from bulkseed.cli.watching.logs import set_up_logging
from bulkseed.cli.watching.progress import Work, watch
from bulkseed.engine.stats import Stats
from bulkseed.engine.stop import Stop
from bulkseed.manifest import open_manifest
from bulkseed.model import Origin, Outcome, SecretDefinition, SecretValue
from bulkseed.policy.options import OnExists, Rules
from bulkseed.wire.actions import create_secret

COLUMNS = 80
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(
    *arguments: object,
    cwd: Path,
    env: dict[str, str] | None = None,
    code: int = 0,
    term: str = "xterm-256color",
    columns: int = COLUMNS,
    interrupt_at: bytes | None = None,
) -> tuple[str, str]:
    """Run the command with a terminal as standard error; return standard output and what the terminal got.

    Ctrl-C is pressed when the terminal has got `interrupt_at`.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    run = zygote.popen(
        BULKSEED,
        [str(a) for a in arguments],
        {**(env or environment()), "TERM": term},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    got = b""
    while True:
        try:
            got += os.read(ours, 65536)
            if interrupt_at is not None and interrupt_at in got:
                interrupt_at = None
                run.send_signal(signal.SIGINT)
        except OSError:  # the other end is closed: the command has ended
            break
    stdout, _ = run.communicate(timeout=120)
    os.close(ours)
    assert run.returncode == code
    return stdout, got.decode()


def test_a_bar_on_a_terminal_tells_the_whole_count_and_fits(tmp_path: Path) -> None:
    """The total is known from the start, every line fits, standard output has the summary alone (G25)."""
    manifest = write_manifest(tmp_path / "m.jsonl", ["# comment", "", *simple(30)])
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        stdout, screen = on_terminal("apply", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
    lines = [line for line in re.split(r"[\r\n]+", ESCAPE.sub("", screen)) if line.strip()]
    rates = [
        float(found[1]) for line in lines if (found := re.search(r" \d+ of 30, (\d+\.\d)/s of 10", line))
    ]
    assert rates, lines
    assert max(rates) <= 10, "it never looks as if the quota was exceeded"
    assert max(map(len, lines)) <= COLUMNS
    assert "\ncreated: 30" in stdout
    assert "\x1b" not in stdout


def test_a_terminal_that_can_do_nothing_gets_lines(tmp_path: Path) -> None:
    """Rich would draw nothing there, even if a bar was asked for."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(30))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint, "--qps", 5, "--progress", "bar"]
        _, screen = on_terminal(*call, cwd=tmp_path, term="dumb")
    assert re.fullmatch(r"(\d\d:\d\d:\d\d \d+ of 30, [^\n]+ left\r\n)+", screen)


def test_what_is_said_of_a_signal_is_not_drawn_over(tmp_path: Path) -> None:
    """It stands above the bar, which is erased before and drawn again below."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(30))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint]
        _, screen = on_terminal(*call, cwd=tmp_path, code=130, interrupt_at=b" of 30, ")
    assert re.search(
        r"\x1b\[2K\r\nSIGINT: finishing what is in flight, counting [^\r]+\r\n\x1b\[[^K]+━", screen
    )


def test_after_a_stop_it_tells_what_is_counted(tmp_path: Path) -> None:
    """What is left may be long: how far it is, and how not to wait for it."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(30))

    async def live() -> None:
        stats, stop = Stats(), Stop()
        stats.read = 7_000
        stop.request("interrupted by SIGINT")
        with open_manifest(manifest) as entries, anyio.move_on_after(6):
            await watch("plain", Work(stats, 10, stop, entries, total=90_000))

    with contextlib.redirect_stderr(io.StringIO()) as screen:
        virtual_clock.run(live)
    assert screen.getvalue().endswith(" stopping: 7,000 of 90,000 counted; Ctrl-C ends it now\n")


def shown(work: Work, step: Callable[[int], None], seconds: int) -> list[str]:
    """Return the lines of `seconds`; `step` is called every second with how many have passed."""

    async def live() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch, "plain", work)
            for second in range(seconds):
                step(second)
                await anyio.sleep(1)
            group.cancel_scope.cancel()

    with contextlib.redirect_stderr(io.StringIO()) as screen:
        virtual_clock.run(live)
    return screen.getvalue().splitlines()


def test_what_was_settled_before_does_not_make_the_rest_look_fast(tmp_path: Path) -> None:
    """Thirty thousand pass in a moment, then it goes on at ten a second: the time left says so."""
    stats = Stats()

    def step(second: int) -> None:
        if second == 1:
            stats.admitted(31_000, {Outcome.CREATED: 31_000}, 0)
        stats.carried[Outcome.CREATED] += 10
        stats.attempts += 12  # reads of what was lost among them

    with open_manifest(write_manifest(tmp_path / "m.jsonl", simple(1))) as entries:
        lines = shown(Work(stats, 10, Stop(), entries, total=62_000), step, 11)
    assert len(lines) == 2
    for line in lines:
        assert re.search(r"31,\d+ of 62,000, 10\.0/s of 10, 5\d min", line), lines


def test_a_limit_is_what_is_left(tmp_path: Path) -> None:
    """With --limit as many are left as are still to be sent; those of other ends are named."""
    stats = Stats()
    stats.admitted(1_000, {Outcome.CREATED: 700}, 2)

    def step(_second: int) -> None:
        stats.carried[Outcome.EXISTING] += 5

    with open_manifest(write_manifest(tmp_path / "m.jsonl", simple(1))) as entries:
        lines = shown(Work(stats, 5, Stop(), entries, total=90_000, limit=100), step, 11)
    assert re.search(r" \d+ of 802, .* 9\.0 s left, 2 invalid, 5\d existing$", lines[-1]), lines


def test_a_verify_is_told_in_its_own_words(tmp_path: Path) -> None:
    """What is missing is not called a conflict while it is counted."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed("verify", manifest, "--endpoint", stub.endpoint, "--qps", 9, cwd=tmp_path)
    assert re.match(r"\d\d:\d\d:\d\d \d+ of 60, [^\n]+ left, \d+ missing", done.stderr), done.stderr
    assert "conflict" not in done.stderr


def test_a_narrow_terminal_gets_the_words_without_the_bar(tmp_path: Path) -> None:
    """In 60 columns the time that is left can still be read."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(30))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint]
        _, screen = on_terminal(*call, cwd=tmp_path, columns=60)
    assert re.search(r" \d+% \d+ of 30, \d+\.\d/s of 10, \d\.\d s left", ESCAPE.sub("", screen)), screen
    assert "━" not in screen


def test_progress_is_an_event_in_json_logs(tmp_path: Path) -> None:
    """Whatever the level: a program that reads standard error gets objects and no lines between them."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        call = ["apply", manifest, "--endpoint", stub.endpoint, "--log-format", "json"]
        done = bulkseed(*call, cwd=tmp_path)
    (event,) = map(json.loads, done.stderr.splitlines())
    assert (event["event"], event["level"], event["total"], event["limit_qps"]) == (
        *("run.progress", "info", 60, 10.0),
    )
    assert 40 <= event["done"] < 60
    assert 0 < event["left_s"] < 2


def test_lines_for_logs_without_a_terminal(tmp_path: Path) -> None:
    """A pipe gets a line every few seconds, with the time; --progress none gets nothing."""
    manifest = write_manifest(tmp_path / "m.jsonl", simple(60))
    with StubKms(KEY_ID, KEY_SECRET) as stub:
        done = bulkseed("apply", manifest, "--endpoint", stub.endpoint, cwd=tmp_path)
        quiet = bulkseed("apply", manifest, "--endpoint", stub.endpoint, "--progress", "none", cwd=tmp_path)
    assert re.fullmatch(r"(\d\d:\d\d:\d\d \d+ of 60, \d+\.\d/s of 10, [^\n]+ left\n)+", done.stderr)
    assert quiet.stderr == ""


def test_the_total_is_of_what_is_taken(tmp_path: Path) -> None:
    """Rows times templates with --each, and with --only as many as were named (G25)."""
    templates = [{"SecretName": f"{kind}/{{n}}", "SecretData": "fake"} for kind in "ab"]
    write_manifest(tmp_path / "t.jsonl", templates)
    (tmp_path / "rows.csv").write_text(
        'n,note\n"1","two\nlines"\n' + "".join(f"{n},\n" for n in range(2, 31))
    )
    write_manifest(tmp_path / "only.jsonl", [{"secret_name": f"a/{n}"} for n in range(1, 26)])
    call = ["apply", "t.jsonl", "--each", "rows.csv", "--qps", 40, "--progress", "bar"]
    for more, total in (["--only", "only.jsonl"], 25), ([], 60):
        with StubKms(KEY_ID, KEY_SECRET) as stub:
            _, screen = on_terminal(*call, *more, "--endpoint", stub.endpoint, cwd=tmp_path)
        assert re.search(rf" \d+ of {total}, ", ESCAPE.sub("", screen)), screen
        (tmp_path / "t.ledger.db").unlink()


def test_troubles_have_a_line_of_their_own(tmp_path: Path) -> None:
    """Below the bar, and in 80 columns: what is not settled, throttled, retried, and the last problem."""
    manifest = write_manifest(tmp_path / "m.jsonl", ["nonsense", *simple(60)])
    rules = [{"action": "CreateSecret", "requests": list(range(3, 60, 3)), "fault": "429"}]
    (tmp_path / "faults.json").write_text(json.dumps({"rules": rules}))
    with served(tmp_path / "kms", *UNLIMITED_FLAGS, f"--faults={tmp_path}/faults.json") as (target, _):
        env = environment(
            ALIBABA_CLOUD_ACCESS_KEY_ID="embedded", ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal()
        )
        call = ["apply", manifest, "--endpoint", target.endpoint, "--qps", 60]
        _, screen = on_terminal(*call, cwd=tmp_path, env=env, code=1)
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", ESCAPE.sub("", screen))]
    told = re.compile(r"1 invalid, \d+ throttled, \d+ retried, last problem: Rejected.Throttling")
    assert any(told.fullmatch(line) for line in lines), lines
    assert max(len(line) for line in lines if "━" in line or "throttled" in line) <= COLUMNS


def test_why_nothing_is_sent_is_known(tmp_path: Path) -> None:
    """A connection that does not come about is a problem, too, though nothing is counted."""

    async def live() -> str | None:
        stats = Stats()
        with contextlib.closing(World(tmp_path, troubles=[Trouble("refused")])) as world:
            definition = SecretDefinition("a", SecretValue("fake"), "v1", Origin("m", 1))
            await world.live([definition], stats=stats)
        assert stats.attempts == 1
        return stats.last_problem

    assert virtual_clock.run(live) == "no connection"


@pytest.mark.parametrize(
    ("on_exists", "problem"), [(OnExists.SKIP, None), (OnExists.FAIL, "Rejected.ResourceExist")]
)
def test_a_name_that_is_taken_is_a_problem_only_if_it_fails(
    tmp_path: Path, on_exists: OnExists, problem: str | None
) -> None:
    """What an answer means is known when its definition ends: a secret that was there may be all right."""

    async def live() -> str | None:
        stats = Stats()
        with contextlib.closing(World(tmp_path)) as world:
            definition = SecretDefinition("a", SecretValue("fake"), "v1", Origin("m", 1))
            world.foreign(create_secret.Request("a", "v1", SecretValue("fake-other")))
            await world.live([definition], stats=stats, rules=Rules(on_exists=on_exists))
        return stats.last_problem

    assert virtual_clock.run(live) == problem


def test_logs_go_to_what_standard_error_is_by_then() -> None:
    """A bar prints them above itself: it takes the place of standard error after logging was set up."""
    set_up_logging(LogArguments("warning", "text"))
    with contextlib.redirect_stderr(io.StringIO()) as screen:
        logging.getLogger("bulkseed.x").warning("seen")
    assert screen.getvalue() == "WARNING bulkseed.x: seen\n"
