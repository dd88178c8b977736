"""A file that SOPS has encrypted: ``sops:prod.enc.yaml``, decrypted by the user's own ``sops``.

So any kind of key works that works there. Its output stays in memory. Its error text is never shown: it can
hold digests of values, and values. The version of an entry is made of the initialisation vectors of what it
holds: they are random, and new whenever a value is encrypted anew because it changed or keys were rotated.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from bulkseed.errors import CredentialsError, ManifestError, UsageError
from bulkseed.sources.content import ExactNumber, decode_json
from bulkseed.sources.kinds.flat import decode
from bulkseed.sources.kinds.shared.held import Held, HeldSource
from bulkseed.sources.protocol import Reference

TYPES = {"yaml": "yaml", "yml": "yaml", "json": "json", "env": "dotenv"}
_ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:[^,]*,iv:([^,]+),")
_VARIABLE = re.compile(r"^([^#=\s][^=]*)=(.*)$", re.MULTILINE)
_EXITS = {  # of sops 3.11 (its exit codes are part of its documentation)
    51: "its MAC does not match: it was changed after it was encrypted",
    128: "none of its keys can be used here",
}


class Sops(HeldSource):
    """Every key at the top of the file is a secret; a map below it is one secret."""

    def load(self) -> Held:
        """Yield every key with its decrypted value."""
        label = self.spec.label
        kind = TYPES.get(self.path.suffix.lstrip(".").lower())
        if kind is None:
            raise UsageError(f"{label}: its name must end in .{', .'.join(TYPES)}")
        encrypted = self._encrypted(kind)
        for name, value in self._decrypted(kind).items():
            vectors = list(_vectors(encrypted.get(name)))
            problem = None if vectors else "is not encrypted in the file"
            if isinstance(value, ExactNumber):
                value = value.text
            elif isinstance(value, bool):
                value = str(value).lower()
            elif not isinstance(value, str | dict):
                problem, value = problem or "has no text or map for a value", ""
            version = hashlib.sha256("".join(vectors).encode()).hexdigest()[:32] if vectors else None
            yield Reference(name, version, problem), value

    def _encrypted(self, kind: str) -> dict[str, Any]:
        content = self.content()
        if kind == "dotenv":
            return dict(_VARIABLE.findall(content.decode(errors="replace")))
        found = decode(content, self.spec.label)
        if not isinstance(found, dict) or "sops" not in found:
            raise ManifestError(f"{self.spec.label}: is not encrypted with SOPS")
        return found

    def _decrypted(self, kind: str) -> dict[str, Any]:
        program = shutil.which("sops")
        if program is None:
            raise UsageError(f"{self.spec.label}: needs the program 'sops' in the PATH")
        command = [program, "decrypt", "--input-type", kind, "--output-type", "json", str(self.path)]
        done = subprocess.run(  # noqa: S603  # the user's own program, and no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            reason = _EXITS.get(done.returncode, f"sops ended with exit code {done.returncode}")
            kind_of = CredentialsError if done.returncode == 128 else ManifestError
            raise kind_of(f"{self.spec.label}: {reason}; `sops decrypt` on it tells more")
        found = decode_json(done.stdout)
        if not isinstance(found, dict):
            raise ManifestError(f"{self.spec.label}: must be a map at its top")
        return found


def _vectors(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _ENCRYPTED.findall(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _vectors(part)
    elif isinstance(value, list):
        for part in value:
            yield from _vectors(part)
