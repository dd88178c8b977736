"""Manifests that are encrypted with age: decrypted in memory as they are read, never on disk.

The library pushes what it decrypts and a manifest is pulled, so a thread and a pipe stand between them; the
pipe's buffer bounds what is decrypted ahead.

Identities are read from the file that `BULKSEED_AGE_IDENTITY` or `SOPS_AGE_KEY_FILE` names, or from
`SOPS_AGE_KEY` itself, as `sops` does. Blocks before damage were given out already, as with gzip.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bulkseed.errors import CredentialsError, ManifestError, how_to_install
from bulkseed.manifest.readable import BrokenError, Readable

SUFFIX = ".age"

IDENTITY = "BULKSEED_AGE_IDENTITY"
FILES = (IDENTITY, "SOPS_AGE_KEY_FILE")
KEY = "SOPS_AGE_KEY"
BLOCK_BYTES = 64 * 1024


def identities(environ: Mapping[str, str] = os.environ) -> list[Any]:
    """Return the identities that the environment names.

    Raises:
        ManifestError: the package that this needs is not installed.
        CredentialsError: there is none, or a file cannot be read or holds none.
    """
    try:
        import pyrage
    except ImportError:
        raise ManifestError(f"reading .age needs one more package: {how_to_install('age')}") from None
    name = next((name for name in FILES if environ.get(name)), None)
    if name is None and not environ.get(KEY):
        raise CredentialsError(
            f"reading .age needs an identity: give --identity FILE, or set {', '.join(FILES)} or {KEY}"
        )
    try:
        text = environ[KEY] if name is None else Path(environ[name]).read_text()
        if "PRIVATE KEY" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        found = []
        reason = error.strerror if isinstance(error, OSError) else "it holds no identity of age"
    else:
        reason = "it holds no identity of age"
    if not found:
        raise CredentialsError(f"the identity that {name or KEY} names cannot be used: {reason}")
    return found


def decrypt(stream: Readable) -> Iterator[bytes]:
    """Yield the content of an encrypted stream.

    Raises:
        BrokenError: it is damaged, or encrypted for somebody else.
    """
    import pyrage

    keys = identities()
    receive, send = os.pipe()
    failures: list[str] = []

    def push() -> None:
        with os.fdopen(send, "wb", buffering=0) as out, suppress(BrokenPipeError):  # nobody reads any more
            try:
                pyrage.decrypt_io(stream, out, keys)
            except BrokenPipeError:
                raise
            except BrokenError as error:
                failures.append(str(error))
            except pyrage.DecryptError:
                failures.append("none of the identities can decrypt it, or it is no age file")
            except OSError:
                failures.append("the encrypted data is damaged or ends too early")
            except ValueError:  # whoever stops early closes the file, mostly while it is being read
                failures.append("the file was closed while it was read")

    pushing = threading.Thread(target=push, name="bulkseed-age", daemon=True)
    pushing.start()
    with os.fdopen(receive, "rb", buffering=0) as source:
        while block := source.read(BLOCK_BYTES):
            yield block
    pushing.join()
    if failures:
        raise BrokenError(failures[0])
