"""Reads a line of JSON by the line before, where only name and value differ: in half the time of a parser.

Nearly all manifests are written by a program, so nearly all their lines have such a form. It is learned from
two lines in a row; whatever does not fit is for the parser. Where all lines of a block fit, they are taken
apart together: in a twentieth of that time.
"""

from __future__ import annotations

from collections.abc import Iterator

from bulkseed.manifest.formats.exact_json import decode

_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
"""What stands in a text of JSON for itself."""

_OPEN = ("SecretName", "SecretData")
_IN_LINE, _BETWEEN = b"\0", b"\1"  # neither can stand in JSON


class AlikeLines:
    """Lines in a row that differ in name and value only, decoded.

    Attributes:
        names: the name of each, in ASCII.
        values: the value of each, likewise.
        rest: what all have besides.
    """

    __slots__ = ("_form", "names", "rest", "values")

    def __init__(self, form: dict[str, object], names: list[bytes], values: list[bytes]) -> None:
        """`form` is such an object, with any name and value, its keys in their order."""
        self.names, self.values, self._form = names, values, form
        self.rest = {key: text for key, text in form.items() if key not in _OPEN}

    def items(self) -> Iterator[dict[str, object]]:
        """Yield the object of each line, as the parser gives it."""
        name_key, value_key = _OPEN
        for name, value in zip(self.names, self.values, strict=True):
            item = self._form.copy()
            item[name_key], item[value_key] = name.decode(), value.decode()
            yield item


class LineBefore:
    """Decodes lines one after another, as `exact_json.decode` does.

    Of the line before it keeps no name and no value.
    """

    def __init__(self) -> None:
        self._rest: dict[str, object] = {}  # of the line before, both of `_OPEN` empty
        self._first, self._second = _OPEN  # in the order in which they stand
        self._head = self._middle = self._tail = b""  # around the two; no tail: nothing is learned

    def decode(self, line: bytes) -> object:
        """Return the JSON value in `line`, or why there is none."""
        head, tail = self._head, self._tail
        if tail and line.startswith(head) and line.endswith(tail):
            first, middle, second = line[len(head) : -len(tail)].partition(self._middle)
            if middle and not (first + second).translate(None, _PLAIN):
                item = self._rest.copy()
                item[self._first], item[self._second] = first.decode(), second.decode()
                return item
        value = decode(line)
        if type(value) is dict:
            self._learn(line, value)
        return value

    def decode_all(self, text: bytes) -> AlikeLines | None:
        """Return all lines of a text, without its last newline; None unless each has the form of the last."""
        head, tail = self._head, self._tail
        if (
            not (tail and text.startswith(head) and text.endswith(tail))
            or _IN_LINE in text
            or _BETWEEN in text
        ):
            return None
        inside = text[len(head) : -len(tail)].replace(tail + b"\n" + head, _BETWEEN)
        inside = inside.replace(self._middle, _IN_LINE)
        lines = inside.count(_BETWEEN) + 1
        # All that does not stand for itself is what was put there: once in each line, and between lines.
        if inside.translate(None, _PLAIN) != ((_IN_LINE + _BETWEEN) * lines)[:-1]:
            return None
        texts = inside.replace(_BETWEEN, _IN_LINE).split(_IN_LINE)
        firsts, seconds = texts[::2], texts[1::2]
        return AlikeLines(self._rest, *((firsts, seconds) if self._first == _OPEN[0] else (seconds, firsts)))

    def _learn(self, line: bytes, item: dict[str, object]) -> None:
        """Learn the form of a line that differs from the one before in name and value only."""
        rest = {**item, **dict.fromkeys(_OPEN, "")}
        if rest != self._rest:
            self._rest, self._tail = rest, b""
            return
        texts = {key: text for key in _OPEN if type(text := item.get(key)) is str}
        if self._tail or len(texts) < len(_OPEN) or not all(type(text) is str for text in rest.values()):
            return  # objects and arrays would be the same ones in every line
        places = sorted((line.find(b'"%b"' % text.encode()) + 1, key, text) for key, text in texts.items())
        (start, first, text), (other, second, other_text) = places
        head, tail = line[:start], line[other + len(other_text) :]
        middle = line[start + len(text) : other]
        # Only if it is there that the two stand does the parser find other texts in their places.
        if start and decode(head + b"1" + middle + b"2" + tail) == {**rest, first: "1", second: "2"}:
            self._first, self._second = first, second
            self._head, self._middle, self._tail, self._rest = head, middle, tail, rest
