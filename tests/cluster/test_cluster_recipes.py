"""The units and the manifest of the page on clusters: fields that there are, calls that run."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes.client
import pytest
import yaml
from support.certificates import Authority
from support.command import KEY_ID, KEY_SECRET, TIMEOUT
from support.dask_processes import HOST, dask_environment, read_until
from support.pages import TEXTS, blocks

from bulkseed.cli.apply import apply

DASK_CLUSTER = {
    "": ({"apiVersion", "kind", "metadata", "spec"}, set()),
    "spec": ({"idleTimeout", "scheduler", "worker"}, {"scheduler", "worker"}),
    "spec.worker": ({"metadata", "replicas", "spec"}, {"spec"}),
    "spec.scheduler": ({"metadata", "service", "spec"}, {"spec", "service"}),
}
"""The fields of a DaskCluster, and those that must be there (the operator's CRD, July 2025)."""


def recipe(name: str) -> str:
    """Return a recipe of the page."""
    (found,) = [block.text for block in blocks(TEXTS["cluster"]) if block.mark("recipe") == f": {name}"]
    return found


def call_of(unit: str) -> list[str]:
    """Return the words of a unit's call."""
    joined = recipe(unit).replace("\\\n", " ")
    (line,) = [line for line in joined.splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


def documents() -> list[dict[str, Any]]:
    """Return what the manifest for Kubernetes has."""
    return list(yaml.safe_load_all(recipe("operator")))


def containers() -> dict[str, dict[str, Any]]:
    """Return the manifest's containers by name."""
    cluster, job = documents()
    specs = [cluster["spec"]["worker"], cluster["spec"]["scheduler"], job["spec"]["template"]]
    return {found["name"]: found for spec in specs for found in spec["spec"]["containers"]}


def check(kind: str, found: Any) -> None:
    """Hold a document against a model of Kubernetes' client: every field is one that there is."""
    if kind.startswith("list["):
        for item in found:
            check(kind[5:-1], item)
    elif model := getattr(kubernetes.client, kind, None):
        wires = {wire: model.openapi_types[name] for name, wire in model.attribute_map.items()}
        for field, value in found.items():
            assert field in wires, f"{kind} has no {field}"
            check(wires[field], value)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", ["scheduler", "worker"])
def test_a_unit_is_one(unit: str, tmp_path: Path) -> None:
    """Systemd reads it without a complaint; of what it runs only the path is another here."""
    path = tmp_path / f"bulkseed-{unit}.service"
    path.write_text(recipe(unit).replace("/opt/bulkseed/bin/dask", sys.executable))
    call = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if path.name in line]) == (0, [])


def test_the_manifest_has_fields_that_there_are() -> None:
    """Those of the operator's resource, of pods, services and jobs; ports and volumes have their names."""
    cluster, job = documents()
    for path, (known, needed) in DASK_CLUSTER.items():
        found = cluster
        for part in filter(None, path.split(".")):
            found = found[part]
        assert needed <= set(found) <= known, path
    pods = [cluster["spec"]["worker"]["spec"], cluster["spec"]["scheduler"]["spec"]]
    for pod in pods:
        check("V1PodSpec", pod)
    check("V1ServiceSpec", cluster["spec"]["scheduler"]["service"])
    check("V1Job", job)
    for pod in (*pods, job["spec"]["template"]["spec"]):
        (container,) = pod["containers"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    ports = {port["name"] for port in containers()["scheduler"]["ports"]}
    assert {port["targetPort"] for port in cluster["spec"]["scheduler"]["service"]["ports"]} <= ports
    with pytest.raises(AssertionError, match="V1PodSpec has no replica"):
        check("V1PodSpec", {"replica": 1})


def test_the_job_calls_a_command_that_there_is() -> None:
    """With options of it, and the address under which the operator makes the scheduler known."""
    program, command, *arguments = containers()["bulkseed"]["args"]
    assert (program, command) == ("bulkseed", "apply")
    options = {name for parameter in apply.params for name in parameter.opts}
    assert isinstance(apply, click.Command)
    assert {word for word in arguments if word.startswith("--")} <= options
    name = documents()[0]["metadata"]["name"]
    (address,) = [env["value"] for env in containers()["worker"]["env"]]
    assert address == arguments[arguments.index("--cluster") + 1] == f"tls://{name}-scheduler:8786"


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    """Issue a certificate, and return what the page's paths stand for."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue(HOST, client=True)
    files = {"ca": authority.ca_file, "cert": certificate, "key": key}
    names = {"ca": ("ca.pem", "ca.crt"), "cert": ("host.pem", "tls.crt"), "key": ("host.key", "tls.key")}
    folders = ("/etc/bulkseed", "/tls")
    return {
        f"{folder}/{name}": str(files[kind])
        for kind, found in names.items()
        for folder, name in zip(folders, found, strict=True)
    }


class Calls:
    """Processes of the page's calls, with addresses and files of this machine."""

    def __init__(self, folder: Path, said: dict[str, str]) -> None:
        self._folder = folder
        self._said = said
        self._begun: list[subprocess.Popen[bytes]] = []

    def begin(self, call: list[str], *more: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a call of `dask`."""
        words = [self._said.get(word, word) for word in call[1:]]
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, *more],
            cwd=self._folder,
            env=dask_environment(self._folder, env),
            stderr=subprocess.PIPE,
        )
        self._begun.append(process)
        return process

    def close(self) -> None:
        """End all processes."""
        for process in self._begun:
            process.kill()
            process.wait()


@pytest.fixture
def calls(tmp_path: Path, tls: dict[str, str]) -> Iterator[Calls]:
    """Run calls of the page; what is still there at the end is ended."""
    there = {"tls://10.0.0.5": f"tls://{HOST}", "8786": "0", "127.0.0.1:8787": "127.0.0.1:0"}
    made = Calls(tmp_path, {**tls, **there})
    yield made
    made.close()


@pytest.mark.parametrize("where", ["systemd", "kubernetes"])
def test_the_calls_make_a_cluster(where: str, calls: Calls) -> None:
    """A scheduler and a worker that registers with it over TLS; SIGTERM ends the worker in order."""
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY_SECRET}
    if where == "systemd":
        scheduler = calls.begin(call_of("scheduler"))
        address = read_until(scheduler, b"Scheduler at:").split()[-1].decode()
        call = [address if word == "tls://10.0.0.5:8786" else word for word in call_of("worker")]
        worker = calls.begin(call, "--host", HOST, **keys)
    else:
        found = containers()
        scheduler = calls.begin(found["scheduler"]["args"], "--host", HOST)
        address = read_until(scheduler, b"Scheduler at:").split()[-1].decode()
        args = [
            "name-of-a-pod" if word == "$(DASK_WORKER_NAME)" else word for word in found["worker"]["args"]
        ]
        worker = calls.begin(args, "--host", HOST, DASK_SCHEDULER_ADDRESS=address, **keys)
    assert address.startswith("tls://")
    read_until(worker, b"Registered to:")
    worker.terminate()
    assert worker.wait(TIMEOUT) == 0
