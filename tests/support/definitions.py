"""Definitions for the tests: hypothesis strategies, and writers for every manifest format."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator

import yaml
import zstandard
from hypothesis import strategies as st

from bulkseed.manifest import open_manifest
from bulkseed.manifest.keys import KEYS
from bulkseed.model import InvalidLine, ManifestEntry, SecretDefinition
from bulkseed.wire.validation import limits
from bulkseed.wire.validation.secret_types import requested_name

Parameters = dict[str, str]

names = st.text(limits.NAME_CHARACTERS, min_size=1, max_size=40).filter(
    lambda name: not name.startswith(limits.NAME_RESERVED_PREFIX)
)
values = st.text(min_size=1, max_size=300) | st.just("x" * limits.DATA_MAX_BYTES)
_texts = st.text(min_size=1, max_size=60)
_version_ids = _texts.filter(str.isprintable)
_tag_texts = st.text(limits.TAG_CHARACTERS, min_size=1, max_size=20).filter(
    lambda text: not text.startswith(limits.TAG_KEY_RESERVED_PREFIXES)
)


def compact(value: object) -> str:
    """Return JSON without spaces, as it travels."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


tags = st.dictionaries(_tag_texts, _tag_texts, max_size=4).map(
    lambda pairs: compact([{"TagKey": key, "TagValue": value} for key, value in pairs.items()])
)
policies = st.lists(_texts, min_size=1, max_size=3).map(
    lambda sids: compact(
        {
            "Version": "1",
            "Statement": [
                {
                    "Sid": sid,
                    "Effect": "Allow",
                    "Principal": {"RAM": ["acs:ram::1234567890123456:*"]},
                    "Action": ["kms:*"],
                    "Resource": ["*"],
                }
                for sid in sids
            ],
        }
    )
)


@st.composite
def generic(draw: st.DrawFn) -> Parameters:
    """A Generic definition in the API's texts, with any of its optional parameters."""
    binary = draw(st.booleans())
    data = draw(
        st.binary(min_size=1, max_size=200).map(lambda raw: base64.b64encode(raw).decode())
        if binary
        else values
    )
    parameters = {"SecretName": draw(names), "SecretData": data, "VersionId": draw(_version_ids)}
    if binary:
        parameters["SecretDataType"] = "binary"
    return parameters | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "Description": _texts,
                "Tags": tags,
                "Policy": policies,
                "SecretType": st.just("Generic"),
                "DKMSInstanceId": _texts,
                "EncryptionKeyId": _texts,
                "EnableAutomaticRotation": st.just("false"),
            },
        )
    )


@st.composite
def rds(draw: st.DrawFn) -> Parameters:
    """A managed RDS definition, rotating or not."""
    account = {"AccountName": draw(_texts), "AccountPassword": draw(_texts)}
    config = {
        "SecretSubType": draw(st.sampled_from(["SingleUser", "DoubleUsers"])),
        "DBInstanceId": draw(_texts),
        "CustomData": draw(st.dictionaries(_texts, _texts, max_size=3)),
    }
    parameters = {
        "SecretName": draw(names),
        "SecretData": compact({"Accounts": [account]}),
        "VersionId": "v1",
        "SecretType": "Rds",
        "ExtendedConfig": compact(config),
    }
    if draw(st.booleans()):
        interval = draw(st.sampled_from(["7d", "6h", "365d", "21600s", "525600m"]))
        parameters |= {"EnableAutomaticRotation": "true", "RotationInterval": interval}
    return parameters


@st.composite
def ram(draw: st.DrawFn) -> Parameters:
    """A RAM user's access keys, whose name the service makes."""
    user = draw(st.text(limits.LETTERS_AND_DIGITS + ".-_", min_size=1, max_size=20))
    key = {"AccessKeyId": draw(_texts), "AccessKeySecret": draw(_texts)}
    return {
        "SecretName": limits.AUTO,
        "SecretData": compact({"AccessKeys": [key]}),
        "VersionId": "v1",
        "SecretType": "RAMCredentials",
        "ExtendedConfig": compact({"SecretSubType": "RamUserAccessKey", "UserName": user}),
    }


parameters = generic() | rds() | ram()


def as_jsonl(definitions: list[Parameters]) -> str:
    """One compact object a line."""
    return "".join(json.dumps(parameters) + "\n" for parameters in definitions)


def as_json(definitions: list[Parameters]) -> str:
    """An indented array."""
    return json.dumps(definitions, ensure_ascii=False, indent=1)


def as_csv(definitions: list[Parameters]) -> str:
    """A table of all parameters, quoted where needed."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, KEYS, restval="")
    table.writeheader()
    table.writerows(definitions)
    return text.getvalue()


def as_yaml_list(definitions: list[Parameters]) -> str:
    """One document, a list."""
    return yaml.dump(definitions, Dumper=yaml.CSafeDumper, sort_keys=False)


def as_yaml_documents(definitions: list[Parameters]) -> str:
    """A document each, with literal blocks where possible."""
    return yaml.dump_all(
        definitions, Dumper=yaml.CSafeDumper, default_style="|", explicit_start=True, sort_keys=False
    )


WRITERS: dict[str, tuple[str, Callable[[list[Parameters]], str]]] = {
    "jsonl": ("jsonl", as_jsonl),
    "json": ("json", as_json),
    "csv": ("csv", as_csv),
    "yaml list": ("yaml", as_yaml_list),
    "yaml documents": ("yaml", as_yaml_documents),
}
"""Name of a way to write manifests: the format and the function."""

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}


class Dribble:
    """A pipe that hands out a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._stream = io.BytesIO(data)
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        """Return at most the few bytes."""
        return self._stream.read(min(self._size, size) if size >= 0 else self._size)


def read_text(text: str | bytes, format: str, size: int = 65536) -> list[ManifestEntry]:  # noqa: A002  # its name
    """Read a manifest from standard input, `size` bytes at a time."""
    data = text.encode() if isinstance(text, str) else text
    with open_manifest("-", format=format, stdin=Dribble(data, size)) as entries:
        return list(entries)


def as_parameters(entry: ManifestEntry) -> Parameters:
    """Return the API's texts of a definition."""
    assert isinstance(entry, SecretDefinition), entry
    rotation = entry.enable_automatic_rotation
    texts = {
        "SecretName": requested_name(entry.name, entry.secret_type),
        "SecretData": entry.data.reveal(),
        "VersionId": entry.version_id,
        "SecretDataType": entry.data_type,
        "SecretType": entry.secret_type,
        "ExtendedConfig": entry.extended_config,
        "EnableAutomaticRotation": None if rotation is None else str(rotation).lower(),
        "RotationInterval": entry.rotation_interval,
        "Description": entry.description,
        "Tags": entry.tags,
        "Policy": entry.policy,
        "EncryptionKeyId": entry.encryption_key_id,
        "DKMSInstanceId": entry.dkms_instance_id,
    }
    return {name: text for name, text in texts.items() if text is not None}


def good_and_bad(entries: list[ManifestEntry]) -> tuple[list[SecretDefinition], list[InvalidLine]]:
    """Part definitions from invalid lines."""
    return (
        [entry for entry in entries if isinstance(entry, SecretDefinition)],
        [entry for entry in entries if isinstance(entry, InvalidLine)],
    )


def numbered(count: int) -> Iterator[Parameters]:
    """Plain definitions app/0, app/1, ..."""
    for number in range(count):
        yield {"SecretName": f"app/{number}", "SecretData": f"fake-password-{number:06d}", "VersionId": "v1"}
