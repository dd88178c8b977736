"""What a ledger is bound to: the host of an endpoint, or a local KMS, and the account of an ARN.

The rules that live here: which endpoints are one target. ``kms.REGION`` and ``kms-vpc.REGION`` are the same
service, reached from outside and from inside a network (endpoint list of the KMS API).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bulkseed.model import Target

EMBEDDED = "embedded"
_SHARED = re.compile(r"kms-vpc\.([a-z0-9-]+)\.aliyuncs\.com")


@dataclass(slots=True, frozen=True)
class KnownTarget:
    """What a ledger knows of its target.

    `binding` is what it is bound to besides `region` and `account`, which is None until a first ARN was seen.
    `endpoint` and `signature` are those used last. The endpoint is ``embedded`` for the local KMS that runs
    in this process, and then `data_dir` is its folder.
    """

    binding: str
    region: str
    account: str | None
    endpoint: str
    signature: str
    data_dir: str | None


def binding_of(target: Target, data_dir: str | os.PathLike[str] | None) -> str:
    """Return what a ledger is bound to. `data_dir`: of the local KMS in this process, whose port changes."""
    return host_of(target.endpoint) if data_dir is None else f"{EMBEDDED} {Path(data_dir).resolve()}"


def host_of(endpoint: str) -> str:
    """Return host[:port] of a URL, without the port that its scheme implies."""
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    implied = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(implied)
    inside = _SHARED.fullmatch(host)
    return f"kms.{inside[1]}.aliyuncs.com" if inside else host
