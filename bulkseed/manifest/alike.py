"""Definitions in a row that differ in nothing but name and value, as nearly all do: the rest is checked once.

It decides nothing: what it does not know for sure it hands to `definition.to_entry`, which decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bulkseed.manifest.definition import Defaults, to_entry
from bulkseed.manifest.formats.line_before import AlikeLines
from bulkseed.model import InvalidLine, Origin, SecretDefinition, SecretValue
from bulkseed.stretch import LineStretch
from bulkseed.wire.validation.plain import are_plain_secrets, is_plain_secret


class AlikeDefinitions:
    """Makes entries of objects that are read one after another, under the same defaults.

    It remembers the last definition without its name and its value, as it was written and as it was read.
    """

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._written: dict[str, str] | None = None
        self._version_id = ""
        self._more: tuple[Any, ...] = ()

    def entry(self, item: object, origin: Origin, folder: Path) -> SecretDefinition | InvalidLine:
        """Do as `to_entry` does, in a quarter of its time where the object before was alike."""
        if type(item) is not dict:
            return to_entry(item, origin, self._defaults, folder)
        rest = item.copy()
        name, data = rest.pop("SecretName", None), rest.pop("SecretData", None)
        # What is equal to texts is texts; True, for example, is equal to 1 and means something else.
        if rest == self._written and is_plain_secret(name, data):
            return SecretDefinition(name, SecretValue(data), self._version_id, origin, *self._more)
        entry = to_entry(item, origin, self._defaults, folder)
        if isinstance(entry, SecretDefinition) and is_plain_secret(name, data):
            self._remember(rest, entry)
        return entry

    def entries(
        self, lines: AlikeLines, origin: Origin, folder: Path
    ) -> Iterator[SecretDefinition | InvalidLine | LineStretch]:
        """Yield the entries of lines in a row, all in one if possible; `origin` is the first's."""
        if lines.rest == self._written and are_plain_secrets(lines.names, lines.values):
            yield LineStretch(lines.names, lines.values, self._version_id, origin, self._more)
            return
        for line, item in enumerate(lines.items(), int(origin.line)):
            yield self.entry(item, Origin(origin.manifest, line), folder)

    def _remember(self, rest: dict[str, object], made: SecretDefinition) -> None:
        """Remember what was written, if name and value had no part in how it was checked."""
        texts = {key: text for key, text in rest.items() if type(text) is str}
        generic = made.secret_type in (None, "Generic") and made.data_type != "binary"
        if not generic or len(texts) != len(rest):
            return
        self._written, self._version_id = texts, made.version_id
        self._more = (
            *(made.data_type, made.encryption_key_id, made.dkms_instance_id, made.description, made.tags),
            *(made.secret_type, made.extended_config, made.enable_automatic_rotation),
            *(made.rotation_interval, made.policy),
        )
