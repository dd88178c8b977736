"""What people use instead of a source: a script of hvac and the vendor's SDK, in 16 threads or one by one.

Both list with hvac, folder by folder, read each secret and create it. One by one is how exporters such as
medusa walk a store. None keeps anything, repeats a request, or could go on after a crash.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hvac
import requests
from alibabacloud_kms20160120 import models
from requests.adapters import HTTPAdapter

from benchmarks.peers import sdk_client

THREADS = 16


def move(address: str, token: str, mount: str, endpoint: str, *, threads: int, rate: float = 0) -> int:
    """Move all secrets of an engine, at most `rate` a second if it is not 0; return how many were created."""
    session = requests.Session()
    session.mount(address, HTTPAdapter(pool_maxsize=threads))
    vault: Any = hvac.Client(url=address, token=token, session=session)
    kms, _ = sdk_client(endpoint)
    gate, due = threading.Lock(), time.monotonic()

    def wait() -> None:
        nonlocal due
        if rate:
            with gate:
                time.sleep(max(0.0, due - time.monotonic()))
                due = max(due, time.monotonic()) + 1 / rate

    def one(path: str) -> bool:
        found = vault.secrets.kv.v2.read_secret_version(
            path, mount_point=mount, raise_on_deleted_version=False
        )
        data = json.dumps(found["data"]["data"])
        wait()
        kms.create_secret(models.CreateSecretRequest(secret_name=path, secret_data=data, version_id="v1"))
        return True

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(one, _paths(vault, mount, "")))


def _paths(vault: Any, mount: str, folder: str) -> Iterator[str]:
    for name in vault.secrets.kv.v2.list_secrets(folder, mount_point=mount)["data"]["keys"]:
        if name.endswith("/"):
            yield from _paths(vault, mount, folder + name)
        else:
            yield folder + name
