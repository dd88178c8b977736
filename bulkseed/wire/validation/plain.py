"""Tells at a glance which generic secrets are surely valid, as nearly all are.

It refuses nothing: what it does not know for sure is for `parameters`, which decides.
"""

from __future__ import annotations

from bulkseed.wire.validation import limits
from bulkseed.wire.validation.secret_types import name_problem

_NAME_BYTES = limits.NAME_CHARACTERS.encode()
_RESERVED = b"\n" + limits.NAME_RESERVED_PREFIX.encode()


def is_plain_secret(name: object, data: object) -> bool:
    """Tell at once that name and value of a generic secret are right; False: look closer."""
    return (
        type(name) is str
        and type(data) is str
        and 0 < len(name) <= limits.NAME_MAX_CHARACTERS
        and 0 < len(data) <= limits.DATA_MAX_BYTES
        and data.isascii()
        and name.isascii()
        and not name.encode().translate(None, _NAME_BYTES)
        and name_problem("Generic", name) is None
    )


def are_plain_secrets(names: list[bytes], values: list[bytes]) -> bool:
    """Tell as `is_plain_secret` does of all names and values, one at least, that are printable ASCII."""
    together = b"\n".join((b"", *names))
    return (
        not together.translate(None, _NAME_BYTES + b"\n")
        and _RESERVED not in together
        and min(map(len, names)) > 0
        and max(map(len, names)) <= limits.NAME_MAX_CHARACTERS
        and min(map(len, values)) > 0
        and max(map(len, values)) <= limits.DATA_MAX_BYTES
    )
