"""Samples for the vendor's SDK for Python (measured with alibabacloud_kms20160120 3.3.1)."""

from __future__ import annotations

import json
from typing import Any

from bulkseed.model import SecretValue
from bulkseed.wire.actions.codec import shape
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.samples.sketch import KEY_ID, KEY_SECRET, TOKEN, Sketch, snake, variable

_NAMES = {"DKMSInstanceId": "dkmsinstance_id", "KmsInstanceId": "kms_instance_id"}
# The SDK takes an object where the API takes its text,
_OBJECTS = {
    *("ExtendedConfig", "ExtendedConfig.CustomData", "EncryptionContext"),
    *("SourceEncryptionContext", "DestinationEncryptionContext"),
}
_RECORDS = {"SecretsList"}  # or a list of its own records,
_TEXTS = {  # and a text where the API takes a boolean or a number.
    *("DryRun", "ForceDeleteWithoutRecovery", "RecoveryWindowInDays", "FetchTags", "IncludeDeprecated"),
    *("PasswordLength", "ExcludeLowercase", "ExcludeUppercase", "ExcludeNumbers", "ExcludePunctuation"),
    "RequireEachIncludedType",
}


def sync(sketch: Sketch) -> str:
    """Return a program that calls and waits."""
    call = f"client.{snake(sketch.action)}({_request(sketch)})"
    return "\n".join(["import os", *_client(sketch), f"print({call}.body.to_map())"])


def asynchronous(sketch: Sketch) -> str:
    """Return a program with asyncio."""
    call = f"await client.{snake(sketch.action)}_async({_request(sketch, '    ')})"
    body = ["async def main():", f"    reply = {call}", "    print(reply.body.to_map())"]
    return "\n".join(["import asyncio", "import os", *_client(sketch), *body, "asyncio.run(main())"])


def _client(sketch: Sketch) -> list[str]:
    return [
        "from alibabacloud_kms20160120 import models",
        "from alibabacloud_kms20160120.client import Client",
        "from alibabacloud_tea_openapi.models import Config",
        "client = Client(Config(",
        f"    access_key_id=os.environ[{KEY_ID!r}],",
        f"    access_key_secret=os.environ[{KEY_SECRET!r}],",
        *[f"    security_token=os.environ[{TOKEN!r}],"] * sketch.temporary,
        f"    endpoint={sketch.host!r},",
        f"    protocol={sketch.scheme!r},",
        f"    region_id={sketch.region!r},",
        *["    signature_algorithm='v2',"] * (sketch.signature == "rpc1"),
        "))",
    ]


def _request(sketch: Sketch, indent: str = "") -> str:
    fields = {f.wire: f.kind for f in shape(ACTIONS[sketch.action].request) if f.kind is not SecretValue}
    if not fields and not sketch.secrets:
        return ""  # the SDK's method takes no request either
    lists = {f.wire for f in shape(ACTIONS[sketch.action].request) if f.numbered}
    arguments = [
        _argument(sketch.action, name, _literal(sketch.action, name, text, fields.get(name)))
        for name, text in sketch.parameters.items()
        if name.partition(".")[0] not in lists
    ]
    arguments += [_list(sketch, name) for name in sorted(lists)]
    arguments += [f"{_name(name)}=os.environ[{variable(name)!r}]" for name in sketch.secrets]
    inside = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"models.{sketch.action}Request(\n{inside}{indent})"


def _list(sketch: Sketch, name: str) -> str:
    """Return the argument for ``Name.1``, ``Name.2``, or for records ``Name.1.Key``, ``Name.1.Value``."""
    items: dict[str, list[str]] = {}
    for given, text in sketch.parameters.items():
        parent, _, place = given.partition(".")
        number, _, child = place.partition(".")
        if parent == name:
            items.setdefault(number, []).append(f"{_name(child)}={text!r}" if child else repr(text))
    records = any("." in it.removeprefix(f"{name}.") for it in sketch.parameters if it.startswith(f"{name}."))
    model = f"models.{sketch.action}Request{name}"
    texts = [f"{model}({', '.join(it)})" if records else it[0] for it in items.values()]
    return f"{_name(name)}=[{', '.join(texts)}]"


def _argument(action: str, name: str, literal: str) -> str:
    parent, _, child = name.rpartition(".")
    if parent:  # the SDK has a model of its own for what is inside
        return f"{snake(parent)}=models.{action}Request{parent}({_name(child)}={literal})"
    return f"{_name(name)}={literal}"


def _name(parameter: str) -> str:
    return _NAMES.get(parameter) or snake(parameter)


def _literal(action: str, name: str, text: str, kind: Any) -> str:
    """Return what a parameter is in the SDK; JSON that is half typed stays text, and the service says why."""
    if name in _TEXTS:
        return repr(text)
    if kind is bool:
        return repr(text.lower() == "true")
    if kind is int and text.isascii() and text.isdigit():
        return repr(int(text))
    if name not in _OBJECTS | _RECORDS:
        return repr(text)
    try:
        given = json.loads(text)
    except ValueError:
        return repr(text)
    if name in _OBJECTS:
        return repr(given if isinstance(given, dict) else text)
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        return repr(text)  # likewise
    model = f"models.{action}Request{name}"
    items = (", ".join(f"{_name(key)}={value!r}" for key, value in item.items()) for item in given)
    return f"[{', '.join(f'{model}({item})' for item in items)}]"
