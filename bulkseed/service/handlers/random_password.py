"""GetRandomPassword: a password that is made, and not kept."""

from __future__ import annotations

import string

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context
from bulkseed.service.passwords import LENGTH, random_password
from bulkseed.wire.actions import get_random_password as asking
from bulkseed.wire.fault import invalid_parameter

LENGTHS = range(8, 129)  # API metadata


def get_random_password(context: Context, asked: asking.Request, /) -> asking.Reply | Fault:
    """Return a password of the classes that are not excluded."""
    length = LENGTH if asked.password_length is None else asked.password_length
    if length not in LENGTHS:
        return invalid_parameter("PasswordLength")
    classes = [
        "".join(character for character in characters if character not in (asked.exclude_characters or ""))
        for characters, excluded in (
            (string.ascii_lowercase, asked.exclude_lowercase),
            (string.ascii_uppercase, asked.exclude_uppercase),
            (string.digits, asked.exclude_numbers),
            (string.punctuation, asked.exclude_punctuation),
        )
        if not excluded
    ]
    each = asked.require_each_included_type is not False
    if not any(classes) or (each and not all(classes)):
        return invalid_parameter("ExcludeCharacters", "It leaves no character of a class that must occur.")
    return asking.Reply(context.request_id, SecretValue(random_password(classes, length, each=each)))
