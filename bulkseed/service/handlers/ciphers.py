"""Symmetric encryption: Encrypt, Decrypt, and data keys.

A ciphertext is bound to the version of its key and to its EncryptionContext, and opens after rotations.
"""

from __future__ import annotations

import os

import orjson

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context
from bulkseed.service.storage.envelope import version_of
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.marks import TamperedError
from bulkseed.service.storage.specs import SYMMETRIC
from bulkseed.wire.actions import decrypt as decrypting
from bulkseed.wire.actions import encrypt as encrypting
from bulkseed.wire.actions import generate_data_key as data_keys
from bulkseed.wire.actions import generate_data_key_without_plaintext as sealed_data_keys
from bulkseed.wire.encoding import read_base64, write_base64
from bulkseed.wire.fault import fault, invalid_parameter
from bulkseed.wire.validation.secret_types import json_object

PLAINTEXT_BYTES_MAX = 6_144  # Encrypt page: 6 KB
DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}
DATA_KEY_BYTES_MAX = 1_024  # API metadata


def encrypt(context: Context, asked: encrypting.Request, /) -> encrypting.Reply | Fault:
    """Encrypt under the primary version of a key."""
    plaintext = read_base64(asked.plaintext.reveal())
    if plaintext is None or not 1 <= len(plaintext) <= PLAINTEXT_BYTES_MAX:
        return invalid_parameter("Plaintext")
    sealed = seal(context, asked.key_id, plaintext, asked.encryption_context)
    if isinstance(sealed, Fault):
        return sealed
    return encrypting.Reply(context.request_id, *sealed)


def decrypt(context: Context, asked: decrypting.Request, /) -> decrypting.Reply | Fault:
    """Open a ciphertext of any version of a key."""
    opened = open_sealed(context, asked.ciphertext_blob, asked.encryption_context)
    if isinstance(opened, Fault):
        return opened
    key_id, version, plaintext = opened
    return decrypting.Reply(context.request_id, key_id, version, SecretValue(write_base64(plaintext)))


def generate_data_key(context: Context, asked: data_keys.Request, /) -> data_keys.Reply | Fault:
    """Return a fresh data key, plain and sealed under a key."""
    made = _data_key(context, asked)
    if isinstance(made, Fault):
        return made
    plaintext, (key_id, version, blob) = made
    plain = SecretValue(write_base64(plaintext))
    return data_keys.Reply(context.request_id, key_id, version, plain, blob)


def generate_sealed_data_key(
    context: Context, asked: sealed_data_keys.Request, /
) -> sealed_data_keys.Reply | Fault:
    """Return a fresh data key, sealed under a key."""
    made = _data_key(context, asked)
    return made if isinstance(made, Fault) else sealed_data_keys.Reply(context.request_id, *made[1])


def usable(context: Context, key_id: str) -> Key | Fault:
    """Return a key that may be used in its present state."""
    key = context.service.keys.find(key_id)
    return key if isinstance(key, Fault) else context.service.keys.refusal(key.id) or key


def _data_key(
    context: Context, asked: data_keys.Request | sealed_data_keys.Request
) -> tuple[bytes, tuple[str, str, str]] | Fault:
    size = asked.number_of_bytes or DATA_KEY_BYTES.get(asked.key_spec or "AES_256")
    if size is None:
        return invalid_parameter("KeySpec")
    if size > DATA_KEY_BYTES_MAX or asked.number_of_bytes == 0:
        return invalid_parameter("NumberOfBytes")
    plaintext = os.urandom(size)
    sealed = seal(context, asked.key_id, plaintext, asked.encryption_context)
    return sealed if isinstance(sealed, Fault) else (plaintext, sealed)


def seal(
    context: Context, key_id: str, plaintext: bytes, encryption_context: str | None
) -> tuple[str, str, str] | Fault:
    """Return key id, version and ciphertext."""
    bound = _canonical(encryption_context)
    if bound is None:
        return invalid_parameter("EncryptionContext", "It must be a JSON object of texts.")
    key = usable(context, key_id)
    if isinstance(key, Fault):
        return key
    if key.spec not in SYMMETRIC:
        return fault("UnsupportedOperation")
    blob = context.service.envelope.encrypt(key.version, plaintext, bound)
    return key.id, key.version, write_base64(blob)


def open_sealed(
    context: Context, ciphertext: str, encryption_context: str | None
) -> tuple[str, str, bytes] | Fault:
    """Return key id, version and plaintext."""
    bound = _canonical(encryption_context)
    if bound is None:
        return invalid_parameter("EncryptionContext", "It must be a JSON object of texts.")
    blob = read_base64(ciphertext)
    version = version_of(blob) if blob else None
    key = context.service.keys.key_of_version(version) if version else None
    if blob is None or version is None or key is None:
        return invalid_parameter("CiphertextBlob")
    if refusal := context.service.keys.refusal(key.id):
        return refusal
    try:
        return key.id, version, context.service.envelope.decrypt(blob, bound)
    except TamperedError:
        return invalid_parameter("CiphertextBlob", "It was changed, or its EncryptionContext is another one.")


def _canonical(text: str | None) -> str | None:
    """Return one spelling for every spelling of an EncryptionContext; None if it is none."""
    context = json_object(text) if text else {}
    if context is None or not all(isinstance(value, str) for value in context.values()):
        return None
    return orjson.dumps(context, option=orjson.OPT_SORT_KEYS).decode() if context else ""
