"""``targets.toml``: the accounts and regions of a run, without a key in it.

Rules that live here: which keys a target may have, and what their values must be. Credentials are named
(a profile, a role to assume), never given.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from bulkseed.errors import UsageError
from bulkseed.manifest.definition import checked_defaults
from bulkseed.model import SignatureName
from bulkseed.wire.signing.verify import SIGNATURES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # a file is named after it
_ROLE = re.compile(r"acs:ram::(\d{1,20}):role/[A-Za-z0-9.@_-]{1,64}")
_SECRETS = ("secret", "access_key", "accesskey", "token", "password")
DEFAULT_QPS = 10.0
"""CreateSecret and DeleteSecret together, per account and region (performance page, 2025-02)."""


@dataclass(slots=True, frozen=True)
class TargetSpec:
    """One target as the file describes it.

    `qps`: the ceiling for creates in any one-second window, 0 for none. `match`: globs on SecretName; without
    any it takes every line that names no target. `set`: defaults for parameters that a line lacks.
    `workers`: globs on the names of the cluster's workers that may serve it; none: all may.
    """

    name: str
    region: str
    endpoint: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    ca_file: str | None = None
    signature: SignatureName = "acs3"
    qps: float = DEFAULT_QPS
    match: tuple[str, ...] = ()
    set: Mapping[str, str] = field(default_factory=dict)
    workers: tuple[str, ...] = ()


_KEYS = tuple(f.name for f in fields(TargetSpec))
_TEXTS = ("name", "region", "endpoint", "profile", "role_arn", "ca_file", "signature")


def read_targets(path: str | Path) -> list[TargetSpec]:
    """Read the targets of a file, in its order.

    Raises:
        UsageError: it cannot be read, or a target in it makes no sense; the message names it.
    """
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    _require_known(f"{path}", given, ("defaults", "target"))
    defaults, tables = given.get("defaults", {}), given.get("target", [])
    if not isinstance(defaults, dict) or not isinstance(tables, list) or not tables:
        raise UsageError(f"{path}: has no target; each begins with [[target]]")
    _require_known(f"{path}: [defaults]", defaults, [key for key in _KEYS if key != "name"])
    specs = [_spec(f"{path}: target {number}", defaults, table) for number, table in enumerate(tables, 1)]
    seen: dict[str, str] = {}
    for spec in specs:  # some file systems do not tell upper case from lower case
        if (other := seen.setdefault(spec.name.lower(), spec.name)) is not spec.name:
            raise UsageError(f"{path}: two targets are named {other!r} and {spec.name!r}")
    places: dict[tuple[str | None, ...], str] = {}
    for spec in specs:
        place = _account_and_region(spec)
        if (other := places.setdefault(place, spec.name)) is not spec.name:
            raise UsageError(
                f"{path}: {other!r} and {spec.name!r} are one account and region, which have one quota: "
                "leave one out, and give the other both lists of match"
            )
    return specs


def _account_and_region(spec: TargetSpec) -> tuple[str | None, ...]:
    """Return what targets of one account and region have in common, as far as the file tells.

    A role names its account (RAM's page on ARNs); by another endpoint the account is the same.
    """
    if spec.role_arn is not None and (role := _ROLE.fullmatch(spec.role_arn)):
        return spec.region, role[1]
    return spec.region, spec.endpoint, spec.profile


def _spec(where: str, defaults: Mapping[str, Any], table: object) -> TargetSpec:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: is not a table")
    if isinstance(table.get("name"), str):
        where += f" ({table['name']})"
    _require_known(where, table, _KEYS)
    given: dict[str, Any] = {**defaults, **table}
    if isinstance(defaults.get("set"), dict) and isinstance(table.get("set"), dict):
        given["set"] = defaults["set"] | table["set"]
    given.setdefault("set", {})
    _check_texts(where, given)
    for key in ("match", "workers"):
        given[key] = _texts(where, key, given.get(key, ()))
    given["qps"] = _qps(where, given.get("qps", DEFAULT_QPS))
    if not isinstance(given["set"], dict) or not all(isinstance(v, str) for v in given["set"].values()):
        raise UsageError(f"{where}: set must be a table of texts")
    try:
        checked_defaults(given["set"])
    except UsageError as error:
        raise UsageError(f"{where}: set: {error}") from None
    return TargetSpec(**given)


def _check_texts(where: str, given: Mapping[str, Any]) -> None:
    for key in ("name", "region"):
        if not given.get(key):
            raise UsageError(f"{where}: has no {key}")
    for key in _TEXTS:
        if key in given and not (isinstance(given[key], str) and given[key]):
            raise UsageError(f"{where}: {key} must be a text")
    if not _NAME.fullmatch(given["name"]):
        raise UsageError(
            f"{where}: name must be letters, digits, '.', '_' and '-': its ledger is named after it"
        )
    if given.get("endpoint") == "embedded":
        raise UsageError(f"{where}: endpoint must be an address: a local KMS for each, by `bulkseed serve`")
    if "role_arn" in given and not _ROLE.fullmatch(given["role_arn"]):
        raise UsageError(f"{where}: role_arn must be like acs:ram::1234567890123456:role/name")
    if given.get("signature", "acs3") not in SIGNATURES:
        raise UsageError(f"{where}: signature must be one of {', '.join(SIGNATURES)}")


def _qps(where: str, qps: object) -> float:
    if isinstance(qps, bool) or not isinstance(qps, int | float) or not 0 <= qps < 1e6:
        raise UsageError(f"{where}: qps must be a number from 0 on, as in qps = 10")
    return float(qps)


def _texts(where: str, key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not (
        isinstance(value, list | tuple) and all(isinstance(text, str) and text for text in value)
    ):
        raise UsageError(f'{where}: {key} must be a list of texts, as in {key} = ["prod/*"]')
    return tuple(value)


def _require_known(where: str, table: Mapping[str, Any], known: Any) -> None:
    for key in table:
        if key in known:
            continue
        if any(word in key.lower() for word in _SECRETS):
            raise UsageError(f"{where}: {key!r}: no keys in this file: name a profile or a role_arn")
        close = difflib.get_close_matches(key, known, 1)
        meant = f": did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
        raise UsageError(f"{where}: unknown key {key!r}{meant}")
