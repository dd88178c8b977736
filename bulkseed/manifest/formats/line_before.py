"""Reads a line of JSON by the line before, where only name and value differ: in half the time of a parser.

Nearly all manifests are written by a program, so nearly all their lines have such a form. It is learned from
two lines in a row; whatever does not fit is for the parser.
"""

from __future__ import annotations

from bulkseed.manifest.formats.exact_json import decode

_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
"""What stands in a text of JSON for itself."""

_OPEN = ("SecretName", "SecretData")


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
