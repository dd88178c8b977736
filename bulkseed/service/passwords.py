"""Random passwords."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence

LENGTH = 32  # API metadata: the default of GetRandomPassword
ROTATION_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!@#$%^&*()_+-=")
LETTERS_AND_DIGITS = ROTATION_CLASSES[:3]


def random_password(classes: Sequence[str], length: int = LENGTH, *, each: bool = True) -> str:
    """Return a password; with `each`, every class occurs."""
    pick = secrets.SystemRandom()
    characters = [pick.choice(characters) for characters in classes] if each else []
    everything = "".join(classes)
    characters += [pick.choice(everything) for _ in range(length - len(characters))]
    pick.shuffle(characters)
    return "".join(characters)
