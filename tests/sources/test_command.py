"""The command over a source: what people see, exit codes, and what a stop leaves behind."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from alibabacloud_kms20160120 import models
from support.command import bulkseed, environment, start
from support.kms import sdk
from support.openbao import ROOT_TOKEN, Bao, openbao
from support.serve_process import UNLIMITED_FLAGS, served

from bulkseed.model import Credentials

EMBEDDED = ("--endpoint", "embedded", "--qps", "0")


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    """A server with three secrets below "secret/prod", one of them badly named."""
    with openbao() as server:
        server.put("secret", "prod/db/main", {"user": "fake", "password": "canary-db"})
        server.put("secret", "prod/api", {"key": "canary-api"})
        server.put("secret", "prod/bad%20name", {"key": "canary-bad"})
        yield server


def test_a_store_is_planned_applied_and_verified_by_its_address(bao: Bao, tmp_path: Path) -> None:
    """The whole way by one address; no value is in any file or output of it."""
    env = environment(VAULT_TOKEN=ROOT_TOKEN)
    address = f"vault+http://{bao.host}/secret/prod"
    names = ("--name", "prod/{path}")
    planned = bulkseed("plan", address, *names, cwd=tmp_path, env=env)
    assert planned.returncode == 1
    assert "2 to create" in planned.stdout
    assert "values were not read" in planned.stdout
    assert "'bad name' has a character" in planned.stdout
    assert not list(tmp_path.iterdir())
    applied = bulkseed("apply", address, *names, *EMBEDDED, cwd=tmp_path, env=env)
    assert "definitions: 3 = 2 created + 1 invalid" in applied.stdout
    good = (*names, "--exclude", "bad*")
    again = bulkseed("apply", address, *good, *EMBEDDED, cwd=tmp_path, env=env)
    assert (again.returncode, "attempts: 0 " in again.stdout) == (0, True)
    verified = bulkseed("verify", address, *good, *EMBEDDED[:2], cwd=tmp_path, env=env)
    assert (verified.returncode, "2 identical" in verified.stdout) == (0, True)
    seen = "".join(done.stdout + done.stderr for done in (planned, applied, again, verified))
    assert "canary" not in seen
    ledgers = [path for path in tmp_path.iterdir() if path.is_file()]
    assert ledgers
    assert not [path for path in ledgers if b"canary" in path.read_bytes()]


def test_sources_in_a_file_are_one_run(bao: Bao, tmp_path: Path) -> None:
    """Two sources of a TOML file, each with names of its own, and where their token is."""
    (tmp_path / "token").write_text(ROOT_TOKEN)
    (tmp_path / "vault.toml").write_text(
        "".join(
            f'[[source]]\nfrom = "vault+http://{bao.host}/secret/prod"\nname = "{name}/{{path}}"\n'
            'exclude = ["bad*"]\n[source.auth]\ntoken = { file = "token" }\n'
            for name in ("a", "b")
        )
    )
    applied = bulkseed("apply", "vault.toml", *EMBEDDED, cwd=tmp_path)
    assert "definitions: 4 = 4 created" in applied.stdout, applied.stderr
    assert (tmp_path / "vault.ledger.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("{address}x",), 2, "--allow-empty"),
        (("{address}?toke=canary",), 2, "no option toke"),
        (("{address}?token=canary",), 2, "would show to others"),
        (("vaultx://a/b",), 2, "did you mean vault?"),
        (("{address}", "prod.jsonl"), 2, "is no source; give manifests in a call of their own"),
        (("none.toml",), 2, "none.toml: No such file"),
        (("{address}", "--name", "{{nothing}}"), 2, "template of name"),
        (("{address}?auth.token.env=NOT_SET_ANYWHERE",), 3, "is not set"),
        (("{address}?auth.token.file=wrong",), 3, "does not accept the token"),
    ],
)
def test_what_makes_no_sense_ends_with_its_exit_code_and_writes_nothing(
    bao: Bao, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A user's mistake is told in a line: no traceback, no ledger, no value."""
    (tmp_path / "wrong").write_text("canary-token")
    address = f"vault+http://{bao.host}/secret/prod"
    done = bulkseed(
        "apply",
        *(argument.format(address=address) for argument in arguments),
        *EMBEDDED,
        cwd=tmp_path,
        env=environment(VAULT_TOKEN=ROOT_TOKEN),
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
    assert not list(tmp_path.glob("*.db"))


def test_ctrl_c_while_a_source_is_listed_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    """A store that never answers does not keep the command; nothing was written."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"vault+http://127.0.0.1:{silent.getsockname()[1]}/secret"
        process = start("apply", address, *EMBEDDED, cwd=tmp_path, env=environment(VAULT_TOKEN="x"))
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_kms_is_no_source_of_itself(tmp_path: Path) -> None:
    """The same access key at the same place would meet each secret as one that exists: that is refused."""
    with served(tmp_path / "kms", *UNLIMITED_FLAGS) as (target, _):
        assert isinstance(target.credentials, Credentials)
        wanted = models.CreateSecretRequest(secret_name="s", secret_data="canary", version_id="v1")
        sdk(target).create_secret(wanted)
        keys = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": target.credentials.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": target.credentials.access_key_secret.reveal(),
        }
        address = f"kms://{target.region}?endpoint={target.endpoint}"
        for command in ("apply", "verify"):
            done = bulkseed(
                command, address, "--endpoint", target.endpoint, cwd=tmp_path, env=environment(**keys)
            )
            assert done.returncode == 2, done.stderr
            assert "is the target itself" in done.stderr


def test_many_targets_take_a_source(tmp_path: Path) -> None:
    """A source stands where a manifest stands: each target gets what fits it, and what fits none is told."""
    (tmp_path / "x.json").write_text('{"a/1": "fake", "b/1": "fake", "c": "fake"}')
    (tmp_path / "targets.toml").write_text(
        "".join(f'[[target]]\nname = "{n}"\nregion = "cn-{n}"\nmatch = ["{n}/*"]\n' for n in ("a", "b"))
    )
    done = bulkseed("plan", "flat:x.json", "--targets", "targets.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert ": goes nowhere: no target's match fits the name\n" in done.stdout
    assert "together: 2 to send to 2 targets" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"x.json", "targets.toml"}


def test_commands_that_show_values_take_no_source(tmp_path: Path) -> None:
    """Explain works on a definition in a file."""
    done = bulkseed("explain", "flat:x.json", "--line", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "not sources" in done.stderr


def test_a_plan_tells_what_changed_and_which_values_cannot_be_moved(bao: Bao, tmp_path: Path) -> None:
    """What changed since the last run is told apart from what is new; --values finds what KMS refuses."""
    bao.mount("planned")
    for name in ("same", "changed"):
        bao.put("planned", name, {"k": "canary-first"})
    env = environment(VAULT_TOKEN=ROOT_TOKEN)
    address = f"vault+http://{bao.host}/planned"
    bulkseed("apply", address, *EMBEDDED, cwd=tmp_path, env=env)
    bao.put("planned", "changed", {"k": "canary-second"})
    bao.put("planned", "new", {"k": "canary"})
    bao.put("planned", "large", {"k": "canary" * 6_000})
    planned = bulkseed("plan", address, *EMBEDDED[:2], cwd=tmp_path, env=env)
    assert "2 to create, 1 changed at the source, 0.2 s at 10/s, values were not read" in planned.stdout
    assert "definitions: 4 = 2 to create + 1 changed + 1 settled + 0 invalid" in planned.stdout
    checked = bulkseed("plan", address, "--values", *EMBEDDED[:2], cwd=tmp_path, env=env)
    assert checked.returncode == 1
    assert "1 to create, 1 changed at the source, 0.1 s at 10/s, 35 bytes of values" in checked.stdout
    assert f"{address}:large" in checked.stdout
    assert "30,720 bytes" in checked.stdout
    assert "canary" not in checked.stdout + checked.stderr
    bao.ask("DELETE", "planned/metadata/same")
    gone = "gone at the source: 1 settled ones (same); nothing is deleted for that"
    assert gone in bulkseed("plan", address, *EMBEDDED[:2], cwd=tmp_path, env=env).stdout
    assert f"note: {gone}" in bulkseed("apply", address, *EMBEDDED, cwd=tmp_path, env=env).stderr
    part = bulkseed("plan", address, "--exclude", "large", *EMBEDDED[:2], cwd=tmp_path, env=env)
    assert "gone" not in part.stdout


def test_what_is_newer_at_the_source_is_behind_and_a_resumed_verify_reads_it_again(
    bao: Bao, tmp_path: Path
) -> None:
    """The service has a version, and not this one: not settled, unlike what --no-follow has left behind."""
    bao.mount("newer")
    for name in ("same", "changed"):
        bao.put("newer", name, {"k": "canary-first"})
    env = environment(VAULT_TOKEN=ROOT_TOKEN)
    call = (f"vault+http://{bao.host}/newer", *EMBEDDED[:2])
    bulkseed("apply", *call, cwd=tmp_path, env=env)
    bao.put("newer", "changed", {"k": "canary-second"})
    left = bulkseed("apply", *call, "--no-follow", cwd=tmp_path, env=env)
    assert "definitions: 2 = 1 created + 1 behind" in left.stdout
    assert left.returncode == 0
    verified = bulkseed("verify", *call, cwd=tmp_path, env=env)
    assert verified.returncode == 1
    assert "definitions: 2 = 1 identical + 1 behind" in verified.stdout
    assert ":changed: changed: behind: the service has version v1, and not this one" in verified.stdout
    [applies], [verifies] = tmp_path.glob("*.ledger.db"), tmp_path.glob("*.verify.db")
    for ledger, rejected in ((applies, 0), (verifies, 1)):
        rejects = bulkseed("ledger", "rejects", ledger.name, cwd=tmp_path)
        assert rejects.stdout.count('"outcome":"behind"') == rejected
        audited = bulkseed("ledger", "audit", ledger.name, cwd=tmp_path)
        assert audited.stdout.endswith("everything adds up\n"), audited.stdout
    bulkseed("apply", *call, cwd=tmp_path, env=env)
    resumed = bulkseed("verify", *call, "--resume", cwd=tmp_path, env=env)
    assert (resumed.returncode, "2 identical" in resumed.stdout) == (0, True)
    assert "attempts: 1 " in resumed.stdout


def test_a_check_up_tells_whose_token_it_is_and_the_pace(bao: Bao, tmp_path: Path) -> None:
    """Before the night: who asks, until when, how fast, how many; no value is shown."""
    token = bao.token('path "secret/*" { capabilities = ["read", "list"] }', ttl="90m", display_name="mover")
    done = bulkseed(
        *("doctor", f"vault+http://{bao.host}/secret/prod", *EMBEDDED[:2]),
        cwd=tmp_path,
        env=environment(VAULT_TOKEN=token),
    )
    assert "credentials: token of token-mover with default, p" in done.stdout
    assert "it lives for 1 h" in done.stdout
    assert "pace: at most 50 requests a second, 8 at once" in done.stdout
    assert "a value was read" in done.stdout
    assert "canary" not in done.stdout + done.stderr
