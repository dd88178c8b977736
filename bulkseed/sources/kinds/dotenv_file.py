"""A ``.env`` file, read by `python-dotenv` without interpolation: ``dotenv:.env``.

The library drops a line that it cannot parse; here that is a row with a reason.
"""

from __future__ import annotations

import io

from dotenv.parser import parse_stream

from bulkseed.errors import ManifestError
from bulkseed.sources.kinds.shared.held import Held, HeldSource
from bulkseed.sources.protocol import Reference


class Dotenv(HeldSource):
    """Every variable is a secret; one that is set twice collides with itself."""

    def load(self) -> Held:
        """Yield every variable with its value."""
        try:
            text = self.content().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ManifestError(f"{self.spec.label}: is not valid UTF-8") from None
        for binding in parse_stream(io.StringIO(text)):
            line = (
                binding.original.line
                + len(binding.original.string)
                - len(binding.original.string.lstrip("\n"))
            )
            if binding.error:
                yield Reference(f"line {line}", problem="cannot be parsed"), ""
            elif binding.key is not None and binding.value is None:
                yield Reference(binding.key, problem="has no value"), ""
            elif binding.key is not None:
                yield Reference(binding.key), binding.value or ""
