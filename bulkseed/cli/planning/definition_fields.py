"""``bulkseed plan --fields``: what a definition can have, as a table for people."""

from __future__ import annotations

from typing import Any

import click

from bulkseed.manifest.schema import definition_schema

_COLUMN = 25
_ANY = 5  # types: all that JSON has


def print_fields() -> None:
    """Print every key of a definition: what it may be, how long, and what it is for."""
    schema = definition_schema()
    for key, field in schema["properties"].items():
        click.echo(f"{key:<{_COLUMN}}{_form(field, key_is_value=key == 'SecretData')}")
        if description := field.get("description"):
            click.echo(f"{'':<{_COLUMN}}{description}")
    click.echo("\nNeeded: SecretName, and SecretData or SecretDataFrom.")
    click.echo("For an editor: bulkseed plan --schema")


def _form(field: dict[str, Any], *, key_is_value: bool) -> str:
    if "enum" in field:
        return " | ".join(str(word) for word in field["enum"] if word)
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    words = ["text" if kind == "string" else kind for kind in kinds if kind != "null"]
    form = "any JSON value" if len(words) == _ANY else " | ".join(words)
    limits = {"maxLength": "bytes" if key_is_value else "characters", "maxItems": "items"}
    most = next((f", at most {field[key]:,} {what}" for key, what in limits.items() if key in field), "")
    return form + most
