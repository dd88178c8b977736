"""A night's move from OpenBao by the command: plan, four kills, five changes, a deletion, the end, verify.

Of the secrets below "secret/prod" one has a name that cannot be mapped, two come to one name, and a folder
may not be listed. While a run is under way its process is stopped, and whatever it and others have on disk is
searched for values: every file of its folder, and files that it has open without a name.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bulkseed.model import Credentials, Target
from support.command import bulkseed, environment, start
from support.openbao import Bao
from support.serve_process import SECRET

CANARY = "canary"
POLICY = """
path "secret/metadata/*" { capabilities = ["list", "read"] }
path "secret/detailed-metadata/*" { capabilities = ["list"] }
path "secret/data/*" { capabilities = ["read"] }
"""
DENIED = """
path "secret/metadata/prod/denied/*" { capabilities = ["deny"] }
path "secret/detailed-metadata/prod/denied/*" { capabilities = ["deny"] }
"""
_MEASURED = [
    (re.compile(r"http(://|-)127\.0\.0\.1[:-]\d+"), "ADDRESS"),
    (re.compile(r", account \d+"), ""),  # known once an answer of the service is on disk
    (re.compile(r", [\dhmins. ]+ at 10/s"), ", SOME TIME at 10/s"),
    (re.compile(r"^(rate|latency|attempts): .*$\n", re.MULTILINE), ""),
    # What a kill has left open is created, adopted or updated; how many of each depends on the moment.
    (re.compile(r"^(created|adopted|updated): .*$\n", re.MULTILINE), ""),
    (re.compile(r"[\d,]+ (created|adopted|updated) \+ "), ""),
    # None was settled before where each kill came before the first answers were on disk.
    (re.compile(r"^[\d,]+ settled now, [\d,]+ settled before .*$\n", re.MULTILINE), ""),
]
_ENDS = re.compile(r"^(created|adopted|updated|invalid): +([\d,]+) ", re.MULTILINE)


class Walk:
    """A store of `count` secrets that can be moved and some that cannot, a target, and a folder for runs."""

    def __init__(self, bao: Bao, target: Target, folder: Path, count: int) -> None:
        assert isinstance(target.credentials, Credentials)
        self.bao, self.folder, self.count = bao, folder, count
        self._paths = {f"moved/service-{n:05d}": f"prod/team-{n % 10}/service-{n:05d}" for n in range(count)}
        self._call = (f"vault+http://{bao.host}/secret/prod", "--name", "moved/{name}", "--source-rate", "0")
        self._target = ("--endpoint", target.endpoint, "--region", target.region)
        self._env = environment(
            VAULT_TOKEN=bao.token(POLICY + DENIED),
            TMPDIR=str(folder),
            ALIBABA_CLOUD_ACCESS_KEY_ID=target.credentials.access_key_id,
            ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET.reveal(),
        )
        odd = ["prod/odd/bad%20name", "prod/one/same", "prod/two/same", "prod/denied/hidden"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._put, [*self._paths.values(), *odd]))

    def walk(self, kill_after: int) -> int:
        """Do it all, and return how many files were searched; each killed run has settled so many."""
        assert self._run("plan", code=1) == PLAN.format(count=self.count, all=self.count + 4)
        changed: list[str] = []
        searched = 0
        for _ in range(4):
            settled, files = self._killed(kill_after)
            searched += files
            changed.append(next(name for name in settled if name not in changed))
            self._put(self._paths[changed[-1]], "second")
        fifth, deleted = [name for name in settled if name not in changed][:2]
        self._put(self._paths[fifth], "second")
        self.bao.ask("DELETE", f"secret/data/{self._paths[deleted]}")
        printed = self._run("apply", "--qps", "0", code=1)
        assert printed == APPLIED.format(all=self.count + 4), printed
        path = self._paths[deleted].removeprefix("prod/")
        verified = VERIFIED.format(count=self.count - 1, all=self.count + 4, path=path, name=deleted)
        assert self._run("verify", "--qps", "0", code=1) == verified
        [ledger] = self.folder.glob("*.ledger.db")
        audited = bulkseed("ledger", "audit", ledger.name, cwd=self.folder, env=self._env)
        assert audited.stdout.endswith("\neverything adds up\n")
        return searched

    def _put(self, path: str, text: str = "first") -> None:
        self.bao.put("secret", path, {"password": f"{CANARY}-{text}"})

    def _run(self, command: str, *more: str, code: int = 0) -> str:
        """Run a command to its end, and return what it prints, without what differs from run to run."""
        done = bulkseed(command, *self._call, *self._target, *more, cwd=self.folder, env=self._env)
        assert done.returncode == code, done.stdout + done.stderr
        assert CANARY not in done.stdout + done.stderr
        ends = {end: int(number.replace(",", "")) for end, number in _ENDS.findall(done.stdout)}
        assert command != "apply" or sum(ends.values()) == self.count + 4
        text = done.stdout
        for pattern, name in _MEASURED:
            text = pattern.sub(name, text)
        return text

    def _killed(self, after: int) -> tuple[list[str], int]:
        """Begin a run, stop it when `after` are settled, search what is on disk, and kill it.

        Return the names that it had settled, and how many files were searched.
        """
        logs = ("--log-level", "debug", "--log-format", "json", "--qps", "0", "--source-rate", "100")
        process = start("apply", *self._call, *self._target, *logs, cwd=self.folder, env=self._env)
        assert process.stderr is not None
        settled: list[str] = []
        while len(settled) < after:
            line = process.stderr.readline()
            assert line, "the run ended before it could be killed"
            assert CANARY not in line
            if '"definition.settled"' in line:
                settled.append(json.loads(line)["secret_name"])
        process.send_signal(signal.SIGSTOP)
        files = self._search(process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        return settled, files

    def _search(self, process: subprocess.Popen[str]) -> int:
        searched = 0
        for path in _files(self.folder, process.pid):
            assert CANARY.encode() not in path.read_bytes(), path
            searched += 1
        return searched


def _files(folder: Path, pid: int) -> Iterator[Path]:
    """Yield every file below a folder, and those that a process has open, also without a name."""
    yield from (path for path in folder.rglob("*") if path.is_file())
    opened = Path(f"/proc/{pid}/fd")
    yield from (path for path in opened.glob("*") if path.is_file())


NO_NAME = "has a character that cannot stand in a secret's name: characters = encode or replace"
PLAN = f"""\
target: ADDRESS (cn-hangzhou)
ledger: vault-ADDRESS-secret-prod.ledger.db (none here yet: a first run)
nothing is sent to the target: only --online asks it
invalid: 'denied/' may not be listed: 1 line
  vault+ADDRESS/secret/prod:denied/
invalid: 'odd/bad name' {NO_NAME}: 1 line
  vault+ADDRESS/secret/prod:odd/bad name
invalid: 'one/same' would have the same name as 'two/same': 1 line
  vault+ADDRESS/secret/prod:one/same
invalid: 'two/same' would have the same name as 'one/same': 1 line
  vault+ADDRESS/secret/prod:two/same
{{count:,}} to create, SOME TIME at 10/s, values were not read
invalid: 4             bad manifest line, never sent
definitions: {{all:,}} = {{count:,}} to create + 0 settled + 4 invalid
"""
_REASONS = f"""\
  1 invalid: 'denied/' may not be listed
    correct it in the manifest or store, then run again
    at vault+ADDRESS/secret/prod:denied/
  1 invalid: 'odd/bad name' {NO_NAME}
    correct it in the manifest or store, then run again
    at vault+ADDRESS/secret/prod:odd/bad name
  1 invalid: 'one/same' would have the same name as 'two/same'
    correct it in the manifest or store, then run again
    at vault+ADDRESS/secret/prod:one/same
  and 2 more reasons
"""
APPLIED = f"""\
target: ADDRESS (cn-hangzhou)
ledger: vault-ADDRESS-secret-prod.ledger.db
invalid: 5             bad manifest line, never sent
definitions: {{all:,}} = 5 invalid
{_REASONS}\
"""
VERIFIED = f"""\
target: ADDRESS (cn-hangzhou)
ledger: vault-ADDRESS-secret-prod.verify.db (none here yet: a first run)
vault+ADDRESS/secret/prod:denied/: moved/: invalid: 'denied/' may not be listed
vault+ADDRESS/secret/prod:odd/bad name: -: invalid: 'odd/bad name' {NO_NAME}
vault+ADDRESS/secret/prod:one/same: moved/same: invalid: 'one/same' would have the same name as 'two/same'
vault+ADDRESS/secret/prod:{{path}}: {{name}}: invalid: '{{path}}' has a current version that is deleted
vault+ADDRESS/secret/prod:two/same: moved/same: invalid: 'two/same' would have the same name as 'one/same'
identical: {{count:<11,}} the service has this version with this value
invalid: 5             bad manifest line, nothing to compare
definitions: {{all:,}} = {{count:,}} identical + 5 invalid
{_REASONS}"""
