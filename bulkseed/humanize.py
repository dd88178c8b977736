"""Numbers as people say them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = ((86400, "day", "d"), (3600, "hour", "h"), (60, "minute", "min"), (1, "second", "s"))

_DETAIL = re.compile(r' \((?:".+"|[^()"])*\)$')
_NUMBER = re.compile(r"\d+")


def moment(micro: int) -> str:
    """Return epoch microseconds as ``2026-11-24 06:15:19``, UTC."""
    return datetime.fromtimestamp(micro // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return seconds as ``1 h 43 min 51 s``."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    parts, rest = [], round(seconds)
    for length, _, unit in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts) or "0 s"


def milliseconds(micro: float) -> str:
    """Return microseconds as ``41.7 ms``, in seconds from one on."""
    return f"{micro / 1e6:,.3g} s" if micro >= 999_500 else f"{micro / 1e3:.3g} ms"


def axis_unit(seconds: float) -> tuple[int, str]:
    """Return the unit in which an axis of this length reads best: its seconds and its plural."""
    length, name, _ = next(unit for unit in _UNITS if seconds >= 3 * unit[0] or unit[0] == 1)
    return length, f"{name}s"


def number(value: float) -> str:
    """Return a rate or a limit as ``2,000`` or ``0.5``."""
    return f"{value:,.10g}"


def counted(count: int, noun: str) -> str:
    """Return a count and what is counted as ``1 row`` or ``2,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(part: float, whole: float) -> str:
    """Return a share as ``98.7 %``; all is 100 %, and what is less never looks like it."""
    share = 100 * part / whole if whole else 0.0
    if part < whole:
        share = min(share, 99.9)
    if part > 0:
        share = max(share, 0.1)
    return f"{share:.1f}".removesuffix(".0") + " %"


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(("…", ".")) else ".")


_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def same_mistake(reason: str) -> str:
    """Return a reason without what differs between equal mistakes: numbers, and an end in parentheses."""
    return _NUMBER.sub("…", _DETAIL.sub("", reason))


def visible(text: str) -> str:
    """Return a text in which nothing steers a terminal: what would is written as an escape.

    Line feeds and tabs stay. Escaped are the control characters (C0, C1), the marks that turn the direction
    of writing (Unicode Annex 9), the separators of lines and paragraphs, and halves of surrogate pairs.
    """
    return _UNSEEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"  # which JSON reads back


def masked(key_id: str) -> str:
    """Return an access key id as it may be shown: its beginning and its end."""
    return f"{key_id[:4]}…{key_id[-4:]}" if len(key_id) > 12 else f"{key_id[:2]}…"


def filled_place(manifest: str | None, line: object) -> str | None:
    """Say how the place of an entry that a table fills is read; None for one that has no such place."""
    template, at, table = (manifest or "").partition("@")
    path, _, number = template.rpartition(":")
    if not at or not number.isdecimal():
        return None
    return f"{manifest}:{line} means: line {number} of {path}, filled with line {line} of {table}"
