"""How the dataclasses of actions travel: requests as parameters, replies as documents.

A list of a request is numbered from 1 (``ResourceId.1``; of records: ``Tag.1.Key``).

A field's wire name is its Python name in capitals (``secret_name``: ``SecretName``) unless it says otherwise.
Values travel in the form body, never in the URL. Optional parameters that are empty count as absent; booleans
are read in any case, since the vendor's SDK sends ``True`` (measured with SDK 3.3.1).
"""

from __future__ import annotations

import itertools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, field, fields
from operator import attrgetter
from typing import Any, NamedTuple, Self

import orjson

from bulkseed.model import Fault, NoReply, SecretValue
from bulkseed.wire.encoding import canonical_query
from bulkseed.wire.fault import decode_fault, invalid_parameter, missing_parameter
from bulkseed.wire.message import Call, Response
from bulkseed.wire.validation.limits import AUTO
from bulkseed.wire.validation.parameters import boolean


class Field(NamedTuple):
    """A dataclass field as it travels. `many`: it is a list."""

    attribute: str
    wire: str
    kind: Any
    required: bool
    wrap: str | None
    numbered: bool
    empty: bool
    many: bool


_SHAPES: dict[type[Any], tuple[Field, ...]] = {}
_WRITERS: dict[type[Any], Writer] = {}


class Writer(NamedTuple):
    """How a reply is written: all its values at once, their wire names, and the fields that are not plain."""

    values: Callable[[Any], tuple[Any, ...]]
    names: tuple[str, ...]
    special: tuple[Field, ...]


def numbered() -> Any:
    """Declare a list of a request, whose items travel as ``Name.1``, ``Name.2`` and so on."""
    return field(default=(), metadata={"numbered": True})


def may_be_empty() -> Any:
    """Declare an optional field that means something also when it is empty."""
    return field(default=None, metadata={"empty": True})


def named(wire: str, default: Any = None) -> Any:
    """Declare an optional field whose wire name does not follow from its Python name."""
    return field(default=default, metadata={"wire": wire})


def listed(element: str) -> Any:
    """Declare a list of a reply, wrapped in `element`: ``{"Tags": {"Tag": [...]}}``; no wrap when empty."""
    return field(default=(), metadata={"wrap": element})


def shape(cls: type[Any]) -> tuple[Field, ...]:
    """Return how the fields of a request or a reply travel, in their order."""
    known = _SHAPES.get(cls)
    if known is None:
        known = _SHAPES[cls] = _read_shape(cls)
    return known


def _read_shape(cls: type[Any]) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls)
    found = []
    for f in fields(cls):
        kind = hints[f.name]
        if isinstance(kind, types.UnionType):
            kind = next(arg for arg in typing.get_args(kind) if arg is not types.NoneType)
        many = typing.get_origin(kind) is tuple
        if many:
            kind = typing.get_args(kind)[0]
        wire = f.metadata.get("wire") or "".join(part.capitalize() for part in f.name.split("_"))
        meta = f.metadata
        marks = meta.get("wrap"), meta.get("numbered", False), meta.get("empty", False)
        found.append(Field(f.name, wire, kind, f.default is MISSING, *marks, many))
    return tuple(found)


def _writer(cls: type[Any]) -> Writer:
    known = _WRITERS.get(cls)
    if known is None:
        every = shape(cls)
        read = attrgetter(*[f.attribute for f in every])
        special = tuple(f for f in every if f.many or f.kind not in (str, int, bool))
        values = read if len(every) > 1 else lambda reply: (read(reply),)
        known = _WRITERS[cls] = Writer(values, tuple(f.wire for f in every), special)
    return known


class Parameters:
    """Base of requests."""

    __slots__ = ()

    @classmethod
    def decode(cls, parameters: Mapping[str, str]) -> Self | Fault:
        """Read the request, or say which parameter is missing or malformed."""
        values: dict[str, Any] = {}
        for attribute, wire, kind, required, _, is_numbered, empty, _ in shape(cls):
            text = parameters.get(wire)
            if text is None and not required and not is_numbered:
                continue
            if is_numbered:
                items = _read_numbered(parameters, wire, kind)
                if isinstance(items, Fault):
                    return items
                values[attribute] = items
                continue
            if text is None or (text == "" and not required and not empty):
                if required:
                    return missing_parameter(wire)
                continue
            value = text if kind is str else _PARSERS[kind](text)
            if value is None:
                return invalid_parameter(wire)
            values[attribute] = value
        return cls(**values)


def _read_numbered(parameters: Mapping[str, str], wire: str, kind: Any) -> tuple[Any, ...] | Fault:
    """Read the items 1, 2, ... of a list, up to the first one that is absent."""
    items: list[Any] = []
    for number in itertools.count(1):
        prefix = f"{wire}.{number}"
        if issubclass(kind, Parameters):
            within = {name[len(prefix) + 1 :]: text for name, text in parameters.items()
                      if name.startswith(f"{prefix}.")}  # fmt: skip
            if not within:
                break
            item = kind.decode(within)
            if isinstance(item, Fault):
                return invalid_parameter(prefix)
            items.append(item)
        elif prefix in parameters:
            items.append(parameters[prefix])
        else:
            break
    return tuple(items)


def call(action: str, request: Parameters) -> Call:
    """Return `request` as a call of `action`."""
    query: dict[str, str] = {}
    form: dict[str, str] = {}
    for f in shape(type(request)):
        value = getattr(request, f.attribute)
        if f.numbered:
            for number, item in enumerate(value, 1):
                query |= _spell_item(f"{f.wire}.{number}", item)
        elif value is not None:
            (form if f.kind is SecretValue else query)[f.wire] = _spell(value)
    return Call(action, canonical_query(query.items()), canonical_query(form.items()))


class Document:
    """Base of replies and of the records inside them."""

    __slots__ = ()

    def encode(self) -> dict[str, object]:
        """Return the document, without the fields that are None."""
        values, names, special = _writer(type(self))
        document = {name: value for name, value in zip(names, values(self), strict=True) if value is not None}
        for f in special:
            value = document.get(f.wire)
            if isinstance(value, tuple):
                items = [_plain(item) for item in value]
                document[f.wire] = {f.wrap: items} if f.wrap else items
            elif value is not None:
                document[f.wire] = _plain(value)
        return document

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Self:
        """Read a document; unknown fields are ignored.

        Raises:
            ValueError: a field is missing or has another type.
        """
        values: dict[str, Any] = {}
        for f in shape(cls):
            value = document.get(f.wire)
            if value is None and not f.required:
                continue
            if f.wrap is not None or isinstance(value, list):
                items = value.get(f.wrap, []) if isinstance(value, dict) else value
                if not isinstance(items, list):
                    raise ValueError(f"{f.wire}: not a list")
                values[f.attribute] = tuple(_typed(f, item) for item in items)
            else:
                values[f.attribute] = _typed(f, value)
        return cls(**values)

    @classmethod
    def read(cls, response: Response, asked: Parameters | None = None) -> Self | Fault | NoReply:
        """Read a response to `asked`: the reply, or the service's fault.

        A success that cannot be read, or that is about something else than was asked for, is NoReply.
        """
        if not 200 <= response.status < 300:
            return decode_fault(response)
        try:
            document = orjson.loads(response.body)
            if not isinstance(document, dict):
                return UNREADABLE
            if is_fault(document):
                return decode_fault(response)
            reply = cls.decode(document)
        except ValueError:  # orjson.JSONDecodeError is one
            return UNREADABLE
        return reply if asked is None or _matches(document, asked) else MISMATCHED


UNREADABLE = NoReply("unreadable reply", maybe_applied=True)
MISMATCHED = NoReply("a reply about something else than was asked for", maybe_applied=True)

_IDENTITIES = ("SecretName", "VersionId", "KeyVersionId", "PageNumber")
"""What a reply repeats as it was asked for. A key is not among them: it may be asked for by an alias."""


def is_fault(document: Mapping[str, Any]) -> bool:
    """Tell whether a document that came as a success is a fault; the vendor's SDK reads both spellings."""
    return bool(document.get("Code") or document.get("code"))


def same_identity(given: object, wanted: object) -> bool:
    """Tell whether a reply that names `given` may be about `wanted`; what it leaves out says nothing.

    A secret may be asked for by its ARN, and ``$Auto`` lets the service choose the name (CreateSecret page).
    """
    if given is None or given == wanted or wanted == AUTO:
        return True
    return isinstance(wanted, str) and wanted.startswith("acs:") and wanted.endswith(f":secret/{given}")


def _matches(document: Mapping[str, Any], asked: Parameters) -> bool:
    wanted = {f.wire: getattr(asked, f.attribute) for f in shape(type(asked)) if f.wire in _IDENTITIES}
    return all(value is None or same_identity(document.get(wire), value) for wire, value in wanted.items())


def _typed(f: Field, value: Any) -> Any:
    if f.kind is SecretValue and isinstance(value, str):
        return SecretValue(value)
    if isinstance(f.kind, type) and issubclass(f.kind, Document) and isinstance(value, dict):
        return f.kind.decode(value)
    if type(value) is not f.kind:
        raise ValueError(f"{f.wire}: not of the documented type")
    if f.kind is int and value < 0:
        raise ValueError(f"{f.wire}: a count below 0")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, SecretValue):
        return value.reveal()
    return value.encode() if isinstance(value, Document) else value


def _spell(value: Any) -> str:
    if isinstance(value, SecretValue):
        return value.reveal()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _spell_item(prefix: str, item: Any) -> dict[str, str]:
    if not isinstance(item, Parameters):
        return {prefix: str(item)}
    parts = {f.wire: getattr(item, f.attribute) for f in shape(type(item))}
    return {f"{prefix}.{wire}": str(value) for wire, value in parts.items() if value is not None}


def _read_int(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


_PARSERS: dict[Any, Any] = {str: str, bool: boolean, int: _read_int, SecretValue: SecretValue}
