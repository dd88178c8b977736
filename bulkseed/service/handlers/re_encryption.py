"""ReEncrypt: a ciphertext of a symmetric or of a public key goes under a symmetric one."""

from __future__ import annotations

from bulkseed.model import Fault
from bulkseed.service.access.resources import both_keys
from bulkseed.service.context import Context
from bulkseed.service.handlers import asymmetric, ciphers
from bulkseed.wire.actions import re_encrypt as moving
from bulkseed.wire.fault import fault, missing_parameter


def re_encrypt(context: Context, asked: moving.Request, /) -> moving.Reply | Fault:
    """Open a ciphertext and encrypt it under another key, without showing the plaintext.

    The reply names the key and the version that opened it (SDK 3.3.1). Permissions are kms:ReEncryptFrom for
    the one key and kms:ReEncryptTo for the other (ReEncrypt page).
    """
    source, destination = both_keys(context, asked)
    if not (context.may("ReEncryptFrom", source) and context.may("ReEncryptTo", destination)):
        return fault("Forbidden.NoPermission")
    opened = _open(context, asked)
    if isinstance(opened, Fault):
        return opened
    key_id, version, plaintext = opened
    sealed = ciphers.seal(context, asked.destination_key_id, plaintext, asked.destination_encryption_context)
    if isinstance(sealed, Fault):
        return sealed
    return moving.Reply(context.request_id, key_id, version, sealed[2])


def _open(context: Context, asked: moving.Request) -> tuple[str, str, bytes] | Fault:
    """A ciphertext of a public key says nothing of itself: all three parameters are needed (SDK 3.3.1)."""
    named = {
        "SourceKeyId": asked.source_key_id,
        "SourceKeyVersionId": asked.source_key_version_id,
        "SourceEncryptionAlgorithm": asked.source_encryption_algorithm,
    }
    if not any(named.values()):
        return ciphers.open_sealed(context, asked.ciphertext_blob, asked.source_encryption_context)
    for name, value in named.items():
        if not value:
            return missing_parameter(name)
    key_id, version, algorithm = (str(value) for value in named.values())
    return asymmetric.open_sealed(context, key_id, version, algorithm, asked.ciphertext_blob)
