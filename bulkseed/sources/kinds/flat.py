"""A map of names and values in JSON or YAML, as other tools print it: ``flat:secrets.json``, ``flat:-``.

Taken are a plain map (Doppler, Infisical), a list of objects with a name and a value (Infisical), and what
``vault kv get -format=json`` and ``aws secretsmanager batch-get-secret-value`` print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bulkseed.errors import ManifestError, UsageError, how_to_install
from bulkseed.sources.content import ExactNumber, decode_json
from bulkseed.sources.kinds.shared.held import Held, HeldSource
from bulkseed.sources.protocol import Reference, Value

_NAMES = ("name", "key", "secretKey", "Name", "Key")
_VALUES = ("value", "secretValue", "Value")


class Flat(HeldSource):
    """Every key of the map is a secret."""

    def load(self) -> Held:
        """Yield every key with its value."""
        yield from self._entries_of(decode(self.content(), self.spec.label))

    def _entries_of(self, found: Any) -> Held:
        if isinstance(found, dict) and isinstance(found.get("SecretValues"), list):
            yield from map(_aws_value, found["SecretValues"])
            for failed in found.get("Errors") or ():
                yield (
                    Reference(str(failed.get("SecretId")), problem="was not in the batch: its read failed"),
                    "",
                )
        elif isinstance(found, dict) and {"request_id", "data"} <= found.keys():
            data = found["data"]
            inner = data.get("data") if isinstance(data, dict) and "metadata" in data else data
            yield from self._entries_of(inner)
        elif isinstance(found, dict):
            for name, value in found.items():
                yield _entry(name, value)
        elif isinstance(found, list) and all(isinstance(item, dict) for item in found):
            for number, item in enumerate(found, 1):
                name = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), None)
                value = next((item[key] for key in _VALUES if key in item), None)
                yield _entry(name or f"item {number}", value if name else None)
        else:
            raise ManifestError(f"{self.spec.label}: must be a map of names and values, or a list of them")


def decode(content: bytes, label: str) -> Any:
    """Decode JSON, or YAML where it is none; numbers keep their text.

    Raises:
        ManifestError: it is neither; the message shows nothing of it.
        UsageError: the package for YAML is not installed.
    """
    try:
        return decode_json(content)
    except (ValueError, RecursionError):
        pass
    documents = list(decode_yaml(content, label))
    if len(documents) != 1:
        raise ManifestError(f"{label}: must be one document")
    return documents[0]


def decode_yaml(content: bytes, label: str) -> Iterator[Any]:
    """Yield the documents of a YAML file; every scalar is its text, as it is written.

    Raises:
        ManifestError: it is no YAML; the message shows nothing of it.
        UsageError: the package for YAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise UsageError(f"{label}: YAML needs one more package: {how_to_install('yaml')}") from None
    try:
        yield from yaml.load_all(content, Loader=yaml.BaseLoader)  # makes nothing but texts
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ManifestError(f"{label}: is neither valid JSON nor valid YAML{where}") from None


def _entry(name: object, value: object) -> tuple[Reference, Value]:
    if isinstance(value, ExactNumber):
        value = value.text
    elif isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, Mapping | str):
        return Reference(str(name)), value
    problem = "has no value" if value is None else "has a list for a value"
    return Reference(str(name), problem=problem), ""


def _aws_value(item: Any) -> tuple[Reference, Value]:
    name, text = str(item.get("Name")), item.get("SecretString")
    if not isinstance(text, str):
        return Reference(name, problem="has a binary value, which this print of it does not carry"), ""
    return Reference(name, item.get("VersionId")), text
