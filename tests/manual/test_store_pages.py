"""The commands on the pages about stores, run as they are printed, with a server of ours for each store's."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.cloud_stores import AzureStore, GoogleStore
from support.pages import MANUAL, TEXTS, blocks, shell
from support.store import Store
from support.stores import STORES, KubernetesStore, Servers

KINDS = {
    "source-aws": ("aws-sm", "aws-ssm"),
    "source-azure": ("azure-kv",),
    "source-google": ("gcp-sm",),
    "source-kms": ("kms",),
    "source-kubernetes": ("k8s",),
}
ELSEWHERE = ": a test runs it against a server of its own"
VALUES = {"password": "fake-value"}


@pytest.mark.parametrize("page", KINDS)
def test_the_commands_of_a_stores_page_move_what_it_holds(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of the page ends with 0; nothing is changed in it but where the store is, and its keys.

    No vendor's client writes keys of TLS to where SSLKEYLOGFILE says, which is set here (H24).
    """
    (script,) = (block.text for block in blocks(TEXTS[page]) if block.mark("not run") == ELSEWHERE)
    given = set(os.environ)
    with ExitStack() as stack:
        servers = Servers(stack)
        for kind in KINDS[page]:
            store = stack.enter_context(STORES[kind](servers, monkeypatch))
            _fill(store, tmp_path)
            script = _at(store.url, kind, script)
        for name in re.findall(r"(\w+)=…", script):
            script = script.replace(f"{name}=…", f"{name}={os.environ[name]}")
        exports = "".join(f"export {name}='{os.environ[name]}'\n" for name in set(os.environ) - given)
        done = shell(exports + _of_the_reader(tmp_path) + script, tmp_path)
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    assert done.stdout.count("\ndefinitions: ") == script.count("bulkseed "), done.stdout
    assert not (tmp_path / "tls-keys").exists()


def test_every_stores_page_is_run() -> None:
    """Those of Vault and of files run as all pages do."""
    assert {path.stem for path in MANUAL.glob("source-*.md")} - KINDS.keys() == {
        "source-files",
        "source-vault",
    }


def _fill(store: Store, folder: Path) -> None:
    store.put("db", VALUES)
    if isinstance(store, AzureStore):
        store.azure.put("payments--db", "fake-value")
    elif isinstance(store, GoogleStore):
        store.google.secrets["payments__db"] = store.google.secrets["prod__db"]
    elif isinstance(store, KubernetesStore):
        store.cluster.put("my-namespace", "db", VALUES)
        dump = {"kind": "List", "items": list(store.cluster.objects.values())}
        (folder / "kubectl.json").write_text(json.dumps(dump))
        config = Path(os.environ["KUBECONFIG"])
        config.write_text(config.read_text().replace('"test"', '"my-context"'))


def _at(url: str, kind: str, script: str) -> str:
    """Return the script with the server's address in every URL of the kind."""
    query = url.partition("?")[2].split("&")
    where = [part for part in query if part.startswith(("endpoint=", "auth.ca_file="))]
    return re.sub(
        rf"'({kind}://[^'?]*)\??([^']*)'",
        lambda found: f"'{found[1]}?{'&'.join(filter(None, [found[2], *where]))}'".replace("?'", "'"),
        script,
    )


def _of_the_reader(folder: Path) -> str:
    """Return what readers of a page have and a test has not: profiles, and kubectl."""
    keys = "aws_access_key_id = fake-for-moto\naws_secret_access_key = fake-for-moto\n"
    (folder / "aws").write_text(f"[profile source]\n{keys}")
    of_source = "BULKSEED_SOURCE_ALIBABA_CLOUD_ACCESS_KEY_{}"
    parts = {
        f"access_key_{part}": os.environ.get(of_source.format(part.upper())) for part in ("id", "secret")
    }
    old = {"name": "old", "mode": "AK", **parts}
    (folder / ".aliyun").mkdir()
    (folder / ".aliyun" / "config.json").write_text(json.dumps({"current": "old", "profiles": [old]}))
    variables = f"AWS_CONFIG_FILE={folder / 'aws'} HOME={folder} SSLKEYLOGFILE={folder / 'tls-keys'}"
    return f"export {variables}\nkubectl() {{ cat kubectl.json; }}\n"
