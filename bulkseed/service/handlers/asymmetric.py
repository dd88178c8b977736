"""Asymmetric keys: signing, encrypting, public keys.

Algorithms as of the AsymmetricSign and AsymmetricEncrypt pages; those of SM2 are not supported. An ECDSA
signature is DER.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from bulkseed.model import Fault, SecretValue
from bulkseed.service.context import Context
from bulkseed.service.handlers.ciphers import usable
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.specs import ENCRYPT, SIGN
from bulkseed.wire.actions import asymmetric_decrypt, asymmetric_encrypt, asymmetric_sign, asymmetric_verify
from bulkseed.wire.actions import get_public_key as reading
from bulkseed.wire.encoding import read_base64, write_base64
from bulkseed.wire.fault import fault, invalid_parameter

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_DIGEST = Prehashed(hashes.SHA256())
_RSA_SIGNATURES: dict[str, padding.AsymmetricPadding] = {
    "RSA_PSS_SHA_256": padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
    "RSA_PKCS1_SHA_256": padding.PKCS1v15(),
}
_RSA_CIPHERS = {
    f"RSAES_OAEP_SHA_{name}": padding.OAEP(padding.MGF1(digest), digest, None)
    for name, digest in (("256", hashes.SHA256()), ("1", hashes.SHA1()))  # noqa: S303  # the API names it
}


def sign(context: Context, asked: asymmetric_sign.Request, /) -> asymmetric_sign.Reply | Fault:
    """Sign a SHA-256 digest."""
    digest = _digest(asked.digest)
    if digest is None:
        return invalid_parameter("Digest")
    found = _private(context, asked.key_id, asked.key_version_id, SIGN)
    if isinstance(found, Fault):
        return found
    key, private = found
    if isinstance(private, rsa.RSAPrivateKey):
        pad = _RSA_SIGNATURES.get(asked.algorithm)
        value = private.sign(digest, pad, _DIGEST) if pad else None
    else:
        value = private.sign(digest, ec.ECDSA(_DIGEST)) if asked.algorithm == "ECDSA_SHA_256" else None
    if value is None:
        return invalid_parameter("Algorithm")
    return asymmetric_sign.Reply(context.request_id, key.id, asked.key_version_id, write_base64(value))


def verify(context: Context, asked: asymmetric_verify.Request, /) -> asymmetric_verify.Reply | Fault:
    """Tell whether a signature fits a SHA-256 digest."""
    digest, value = _digest(asked.digest), read_base64(asked.value)
    if digest is None or value is None:
        return invalid_parameter("Digest" if digest is None else "Value")
    found = _private(context, asked.key_id, asked.key_version_id, SIGN)
    if isinstance(found, Fault):
        return found
    key, private = found
    try:
        if isinstance(private, rsa.RSAPrivateKey):
            pad = _RSA_SIGNATURES.get(asked.algorithm)
            if pad is None:
                return invalid_parameter("Algorithm")
            private.public_key().verify(value, digest, pad, _DIGEST)
        elif asked.algorithm == "ECDSA_SHA_256":
            private.public_key().verify(value, digest, ec.ECDSA(_DIGEST))
        else:
            return invalid_parameter("Algorithm")
        fits = True
    except InvalidSignature:
        fits = False
    return asymmetric_verify.Reply(context.request_id, key.id, asked.key_version_id, fits)


def encrypt(context: Context, asked: asymmetric_encrypt.Request, /) -> asymmetric_encrypt.Reply | Fault:
    """Encrypt with the public key."""
    plaintext = read_base64(asked.plaintext.reveal())
    if not plaintext:
        return invalid_parameter("Plaintext")
    found = _rsa(context, asked.key_id, asked.key_version_id, asked.algorithm)
    if isinstance(found, Fault):
        return found
    key, private, pad = found
    try:
        blob = private.public_key().encrypt(plaintext, pad)
    except ValueError:  # it is longer than the key allows
        return invalid_parameter("Plaintext")
    return asymmetric_encrypt.Reply(context.request_id, key.id, asked.key_version_id, write_base64(blob))


def decrypt(context: Context, asked: asymmetric_decrypt.Request, /) -> asymmetric_decrypt.Reply | Fault:
    """Decrypt with the private key."""
    opened = open_sealed(context, asked.key_id, asked.key_version_id, asked.algorithm, asked.ciphertext_blob)
    if isinstance(opened, Fault):
        return opened
    key_id, version, plaintext = opened
    text = SecretValue(write_base64(plaintext))
    return asymmetric_decrypt.Reply(context.request_id, key_id, version, text)


def open_sealed(
    context: Context, key_id: str, version: str, algorithm: str, ciphertext: str
) -> tuple[str, str, bytes] | Fault:
    """Open what a public key sealed; return key id, version and plaintext."""
    found = _rsa(context, key_id, version, algorithm)
    if isinstance(found, Fault):
        return found
    key, private, pad = found
    try:
        return key.id, version, private.decrypt(read_base64(ciphertext) or b"", pad)
    except ValueError:
        return invalid_parameter("CiphertextBlob")


def get_public_key(context: Context, asked: reading.Request, /) -> reading.Reply | Fault:
    """Return the public key of a version."""
    found = _private(context, asked.key_id, asked.key_version_id, None)
    if isinstance(found, Fault):
        return found
    key, private = found
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return reading.Reply(context.request_id, key.id, asked.key_version_id, pem.decode())


def _digest(text: str) -> bytes | None:
    digest = read_base64(text)
    return digest if digest is not None and len(digest) == hashes.SHA256.digest_size else None


def _private(context: Context, key_id: str, version: str, usage: str | None) -> tuple[Key, Private] | Fault:
    """Return a key that may be used this way, and the private key of its version."""
    key = usable(context, key_id)
    if isinstance(key, Fault):
        return key
    if not key.spec.startswith(("RSA_", "EC_P")) or usage not in (None, key.usage):
        return fault("UnsupportedOperation")
    if version not in {found for found, _ in context.service.keys.versions(key)}:
        return fault("Forbidden.KeyVersionNotFound")
    # It was made here and is authenticated: to check it again takes 36 ms, and 250 of RSA_4096.
    private = serialization.load_der_private_key(
        context.service.envelope.material(version), None, unsafe_skip_rsa_key_validation=True
    )
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)  # noqa: S101  # by its spec
    return key, private


def _rsa(
    context: Context, key_id: str, version: str, algorithm: str
) -> tuple[Key, rsa.RSAPrivateKey, padding.OAEP] | Fault:
    found = _private(context, key_id, version, ENCRYPT)
    if isinstance(found, Fault):
        return found
    key, private = found
    pad = _RSA_CIPHERS.get(algorithm)
    if pad is None or not isinstance(private, rsa.RSAPrivateKey):
        return invalid_parameter("Algorithm")
    return key, private, pad
