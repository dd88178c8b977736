"""What is on disk: no value in any file, nothing that can be swapped, nothing that strangers may read."""

from __future__ import annotations

import base64
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from support.kms import UNLIMITED, Desk

from bulkseed.errors import UsageError
from bulkseed.model import SecretValue
from bulkseed.service.options import ServiceOptions
from bulkseed.service.storage import envelope
from bulkseed.service.storage.randomness import random_bytes
from bulkseed.wire.actions import (
    create_key,
    create_secret,
    delete_secret,
    generate_data_key,
    get_secret_value,
    put_secret_value,
    rotate_secret,
    schedule_key_deletion,
)

CANARY = "canary-7f3a9c/é+value"
ACCOUNTS = '{"Accounts":[{"AccountName":"app","AccountPassword":"%s"}]}' % CANARY  # noqa: UP031  # braces
RDS = '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1"}'


def desk_at(path: Path, **options: object) -> Desk:
    """Return a desk on a data directory."""
    return Desk(ServiceOptions(data_dir=path, **{**UNLIMITED, **options}))


def read(desk: Desk, name: str) -> str:
    """Return a value."""
    return str(desk.ask(get_secret_value.Request(name)).secret_data.reveal())


def test_no_value_password_or_key_is_readable(tmp_path: Path) -> None:
    """Neither in plain, percent-encoded nor Base64, while it runs and after, with all kinds of writes."""
    desk = desk_at(tmp_path)
    desk.ask(create_secret.Request("a", "v1", SecretValue(CANARY)))
    desk.ask(put_secret_value.Request("a", "v2", SecretValue(CANARY + "2")))
    desk.ask(create_secret.Request("r", "v1", SecretValue(ACCOUNTS), secret_type="Rds", extended_config=RDS))
    desk.ask(rotate_secret.Request("r", "v2"))
    key = desk.ask(create_key.Request()).key_metadata.key_id
    data_key = desk.ask(generate_data_key.Request(key)).plaintext.reveal()
    rotated = read(desk, "r").split('"')[-2]
    desk.ask(delete_secret.Request("a", True))
    desk.kms.commit()
    secrets = [CANARY, rotated, desk.credentials.access_key_secret.reveal()]
    needles = [form for text in secrets[:2] for form in (text.encode(), quote(text, safe="").encode())]
    needles += [base64.b64encode(text.encode()).rstrip(b"=") for text in secrets[:2]]
    needles += [data_key.encode(), base64.b64decode(data_key)]
    for moment in ("running", "closed"):
        for file in filter(Path.is_file, tmp_path.rglob("*")):
            content = file.read_bytes()
            assert not [needle for needle in needles if needle in content], f"{file.name} while {moment}"
            if file.name != "access-key":
                assert secrets[2].encode() not in content
            if file.name != "master.key":
                assert (tmp_path / "master.key").read_bytes() not in content
        if moment == "running":
            desk.kms.close()


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """The directory and every file in it."""
    desk = desk_at(tmp_path / "new" / "dir")
    desk.ask(create_secret.Request("a", "v1", SecretValue("x")))
    desk.kms.commit()
    paths = [tmp_path / "new" / "dir", *(tmp_path / "new" / "dir").rglob("*")]
    assert len(paths) >= 4
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    desk.kms.close()


def tamper(path: Path, sql: str) -> None:
    """Change the database behind the service's back."""
    db = sqlite3.connect(path / "kms.db", isolation_level=None)
    for statement in sql.split("; "):
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "sql",
    [
        # two values swapped, one moved to another version, one under another name, one bit changed
        "UPDATE versions SET sealed = (SELECT sealed FROM versions v WHERE v.secret <> versions.secret)",
        "UPDATE versions SET id = 'v2' WHERE secret = 1",
        "UPDATE secrets SET name = CASE name WHEN 'a' THEN 'b2' ELSE 'a' END",
        "UPDATE versions SET data_type = 'binary'",
        "UPDATE versions SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)",
        "UPDATE versions SET sealed = x''",
        "UPDATE data_keys SET sealed = x'00'",
        "DELETE FROM data_keys",
        """UPDATE secrets SET stages = '{"ACSCurrent":"v0"}'""",
        "UPDATE secrets SET policy = '{}'",
        "UPDATE secrets SET key_id = 'other'",
        "UPDATE keys SET state = 'Disabled'",
    ],
)
def test_swapped_or_changed_rows_are_detected(tmp_path: Path, sql: str) -> None:
    """A value that is not what was stored under this name and version is never returned (H14)."""
    desk = desk_at(tmp_path)
    for name in ("a", "b"):
        desk.ask(create_secret.Request(name, "v1", SecretValue(f"value of {name}")))
    desk.kms.close()
    if "id = 'v2'" in sql:
        tamper(tmp_path, """UPDATE secrets SET stages = '{"ACSCurrent":"v2"}' WHERE id = 1""")
    tamper(tmp_path, sql)
    again = desk_at(tmp_path)
    reply = again.ask(get_secret_value.Request("a"))
    assert getattr(reply, "code", None) == "InternalFailure", reply
    again.kms.close()


def test_a_value_of_an_earlier_secret_of_the_same_name_does_not_open(tmp_path: Path) -> None:
    """Deleted and made again: the old row under the new secret is noticed (H14)."""
    desk = desk_at(tmp_path)
    desk.ask(create_secret.Request("a", "v1", SecretValue("old")))
    desk.kms.commit()
    (tmp_path / "copy.db").write_bytes((tmp_path / "kms.db").read_bytes())
    (tmp_path / "copy.db-wal").write_bytes((tmp_path / "kms.db-wal").read_bytes())
    desk.ask(delete_secret.Request("a", True))
    desk.ask(create_secret.Request("a", "v1", SecretValue("new")))
    desk.kms.close()
    old = tmp_path / "copy.db"
    swap = "UPDATE versions SET sealed = (SELECT sealed FROM old.versions)"
    tamper(tmp_path, f"ATTACH '{old}' AS old; {swap}")
    again = desk_at(tmp_path)
    assert again.code(get_secret_value.Request("a")) == "InternalFailure"
    again.kms.close()


def sealed_values(path: Path) -> list[bytes]:
    """Return what is stored of the values, as another connection to a copy sees it."""
    copy = path.parent / f"{path.name}-copy"
    shutil.copytree(path, copy)
    db = sqlite3.connect(copy / "kms.db")
    rows = [
        row[0] for row in db.execute("SELECT sealed FROM versions UNION ALL SELECT sealed FROM key_versions")
    ]
    db.close()
    shutil.rmtree(copy)
    return rows


def test_what_was_deleted_for_good_is_gone_from_the_disk(tmp_path: Path) -> None:
    """A forced deletion and the end of a key's window leave nothing that the key file could open (H7)."""
    folder = tmp_path / "kms"
    desk = desk_at(folder)
    key = desk.ask(create_key.Request()).key_metadata.key_id
    desk.ask(create_secret.Request("a", "v1", SecretValue("value"), encryption_key_id=key))
    desk.kms.commit()
    before = sealed_values(folder)
    assert before
    desk.ask(delete_secret.Request("a", True))
    desk.ask(schedule_key_deletion.Request(key, 7))
    desk.kms.commit()
    desk.now += 8 * 86_400
    desk.code(get_secret_value.Request("a"))
    desk.kms.commit()
    content = b"".join((folder / name).read_bytes() for name in ("kms.db", "kms.db-wal"))
    assert not [sealed for sealed in before if sealed in content]
    desk.kms.close()


def test_a_data_key_seals_a_bounded_number_of_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then another one takes over, also across restarts; everything still opens."""
    monkeypatch.setattr(envelope, "SEALS_STEP", 2)
    monkeypatch.setattr(envelope, "SEALS_MAX", 4)
    desk = desk_at(tmp_path)
    for number in range(9):
        desk.ask(create_secret.Request(f"s{number}", "v1", SecretValue(f"value {number}")))
        if number == 4:
            desk.kms.close()
            desk = desk_at(tmp_path)
    assert [read(desk, f"s{number}") for number in range(9)] == [f"value {number}" for number in range(9)]
    desk.kms.close()
    db = sqlite3.connect(tmp_path / "kms.db")
    used = [row[0] for row in db.execute("SELECT count(*) FROM versions GROUP BY data_key")]
    db.close()
    assert len(used) >= 3
    assert max(used) <= 4


def start_and_stop(path: Path) -> None:
    """Open a data directory once."""
    desk = desk_at(path)
    desk.kms.close()


def test_an_open_folder_is_closed_and_git_ignores_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Modes of the folder and of what is in it are tightened, which is said (C4, H26)."""
    folder = tmp_path / "open"
    start_and_stop(folder)
    assert (folder / ".gitignore").read_text() == "*\n"
    for path in (folder, folder / "master.key", folder / "kms.db"):
        path.chmod(0o755)
    start_and_stop(folder)
    for path in (folder, folder / "master.key", folder / "kms.db"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert str(path) in caplog.text
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "mine.txt").write_text("x")
    start_and_stop(tmp_path / "shared")
    assert not (tmp_path / "shared" / ".gitignore").exists()


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Values, the count for the quota, and the generated access key."""
    desk = desk_at(tmp_path)
    desk.ask(create_secret.Request("a", "v1", SecretValue("value")))
    desk.kms.close()
    again = desk_at(tmp_path, secret_quota=1)
    assert again.credentials == desk.credentials
    assert read(again, "a") == "value"
    assert again.code(create_secret.Request("b", "v1", SecretValue("x"))) == "Rejected.LimitExceeded"
    again.kms.close()


def test_what_cannot_be_deleted_keeps_nothing_from_being_rotated(tmp_path: Path) -> None:
    """A row that was changed on disk stops the due deletions, and not the due rotations (H19)."""
    desk = desk_at(tmp_path / "d")
    desk.ask(create_secret.Request("a", "v1", SecretValue("x")))
    desk.ask(delete_secret.Request("a", recovery_window_in_days=7))
    desk.ask(
        create_secret.Request(
            "r",
            "v1",
            SecretValue(ACCOUNTS),
            secret_type="Rds",
            extended_config=RDS,
            enable_automatic_rotation=True,
            rotation_interval="6h",
        )
    )
    before = read(desk, "r")
    desk.kms.close()
    tamper(tmp_path / "d", "UPDATE secrets SET mark = zeroblob(16) WHERE name = 'a'")
    desk = desk_at(tmp_path / "d")
    desk.now += 8 * 86_400
    assert read(desk, "r") != before
    desk.kms.close()


def test_a_data_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """In use, of another account, without its master key, damaged, or a file: UsageError, nothing changed."""
    desk = desk_at(tmp_path / "d")
    desk.ask(create_secret.Request("a", "v1", SecretValue("value")))
    desk.kms.commit()
    with pytest.raises(UsageError, match="another process"):
        desk_at(tmp_path / "d")
    desk.kms.close()
    with pytest.raises(UsageError, match="another account"):
        desk_at(tmp_path / "d", account_id="42")
    key = tmp_path / "d" / "master.key"
    content = key.read_bytes()
    key.unlink()
    with pytest.raises(UsageError, match="is missing"):
        desk_at(tmp_path / "d")
    assert not key.exists()
    key.write_bytes(bytes(32))
    with pytest.raises(UsageError, match="master key"):
        desk_at(tmp_path / "d")
    key.write_bytes(content)
    again = desk_at(tmp_path / "d")
    assert read(again, "a") == "value"
    again.kms.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot use"):
        desk_at(tmp_path / "file")
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "kms.db").write_bytes(b"noise" * 1000)
    with pytest.raises(UsageError, match="not a database"):
        desk_at(tmp_path / "noise")


FORK = """
import os, sys
from bulkseed.service.storage.randomness import random_bytes
random_bytes(16)
if os.fork() == 0:
    os.write(1, random_bytes(16).hex().encode() + b"\\n")
    os._exit(0)
os.wait()
print(random_bytes(16).hex())
"""


def test_random_bytes_are_given_out_once() -> None:
    """Also over the end of a block, and not again in a child process."""
    given = [random_bytes(12) for _ in range(1000)]
    assert len(set(given)) == 1000
    assert {len(it) for it in given} == {12}
    of_both = subprocess.run([sys.executable, "-c", FORK], capture_output=True, check=True).stdout.split()
    assert len(set(of_both)) == 2
