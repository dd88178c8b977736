"""Using keys: encryption, signatures, codes; what the service makes, another library can check."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from support.kms import Desk

from bulkseed.model import SecretValue
from bulkseed.wire.actions import (
    asymmetric_decrypt,
    asymmetric_encrypt,
    asymmetric_sign,
    asymmetric_verify,
    create_alias,
    create_key,
    create_key_version,
    decrypt,
    describe_key,
    describe_key_version,
    disable_key,
    encrypt,
    generate_data_key,
    generate_data_key_without_plaintext,
    generate_mac,
    get_public_key,
    get_secret_value,
    list_key_versions,
    re_encrypt,
    update_rotation_policy,
    verify_mac,
)

DAY = 86_400
CONTEXT = '{"a":"1","b":"2"}'


def b64(content: bytes) -> str:
    """Return Base64."""
    return base64.b64encode(content).decode()


def new_key(desk: Desk, **wish: Any) -> Any:
    """Create a key and return its metadata."""
    return desk.ask(create_key.Request(**wish)).key_metadata


def test_what_is_encrypted_opens_with_its_context_only() -> None:
    """Whatever the order of the context's keys; a changed ciphertext is refused."""
    desk = Desk()
    key = new_key(desk)
    text = SecretValue(b64(b"plain"))
    sealed = desk.ask(encrypt.Request(key.key_id, text, CONTEXT))
    assert (sealed.key_id, sealed.key_version_id) == (key.key_id, key.primary_key_version)
    blob = sealed.ciphertext_blob
    opened = desk.ask(decrypt.Request(blob, '{"b": "2", "a": "1"}'))
    assert (opened.plaintext.reveal(), opened.key_id) == (text.reveal(), key.key_id)
    for other in (None, '{"a":"1"}', '{"a":"1","b":"3"}', "[]", '{"a":1}'):
        assert desk.code(decrypt.Request(blob, other)) == "InvalidParameter"
    changed = bytearray(base64.b64decode(blob))
    changed[-1] ^= 1
    for bad in (b64(bytes(changed)), "", "x", b64(b"short"), b64(b"\1" + bytes(40))):
        assert desk.code(decrypt.Request(bad, CONTEXT)) in ("InvalidParameter", "MissingParameter")
    for bad_text in ("", "no base64", b64(b"x" * 6145)):
        assert desk.code(encrypt.Request(key.key_id, SecretValue(bad_text))) == "InvalidParameter"
    desk.ask(disable_key.Request(key.key_id))
    assert desk.code(decrypt.Request(blob, CONTEXT)) == "Rejected.Disabled"


def test_data_keys_open_again() -> None:
    """Both kinds of data keys, and a dry run that makes none."""
    desk = Desk()
    key = new_key(desk).key_id
    made = desk.ask(generate_data_key.Request(key, encryption_context=CONTEXT))
    opened = desk.ask(decrypt.Request(made.ciphertext_blob, CONTEXT))
    assert opened.plaintext == made.plaintext
    sealed = desk.ask(generate_data_key_without_plaintext.Request(key, number_of_bytes=7))
    assert len(base64.b64decode(desk.ask(decrypt.Request(sealed.ciphertext_blob)).plaintext.reveal())) == 7
    assert desk.code(generate_data_key.Request(key, dry_run=True)) == "DryRunOperationError"
    assert desk.code(generate_data_key.Request(key, recipient="{}")) == "UnsupportedOperation"
    moved = desk.ask(re_encrypt.Request(made.ciphertext_blob, new_key(desk).key_id, CONTEXT, '{"c":"3"}'))
    assert desk.ask(decrypt.Request(moved.ciphertext_blob, '{"c":"3"}')).plaintext == made.plaintext


def test_a_rotated_key_opens_what_it_sealed_before() -> None:
    """Rotation makes a version when it is due; old ciphertexts stay good, new ones are of the new version."""
    desk = Desk()
    key = new_key(desk, enable_automatic_rotation=True, rotation_interval="7d")
    assert (key.automatic_rotation, key.rotation_interval) == ("Enabled", "604800s")
    old = desk.ask(encrypt.Request(key.key_id, SecretValue(b64(b"old"))))
    desk.now += 7 * DAY
    described = desk.ask(describe_key.Request(key.key_id)).key_metadata
    assert described.primary_key_version != key.primary_key_version
    new = desk.ask(encrypt.Request(key.key_id, SecretValue(b64(b"new"))))
    assert (old.key_version_id, new.key_version_id) == (
        key.primary_key_version,
        described.primary_key_version,
    )
    assert desk.ask(decrypt.Request(old.ciphertext_blob)).plaintext.reveal() == b64(b"old")
    listed = desk.ask(list_key_versions.Request(key.key_id))
    assert [v.key_version_id for v in listed.key_versions] == [new.key_version_id, old.key_version_id]
    desk.ask(update_rotation_policy.Request(key.key_id, False))
    desk.now += 30 * DAY
    assert desk.ask(list_key_versions.Request(key.key_id)).total_count == 2
    assert desk.code(update_rotation_policy.Request(key.key_id, True, "6d")) == "InvalidParameter"
    assert desk.code(update_rotation_policy.Request(key.key_id, True)) == "MissingParameter"
    assert desk.code(create_key_version.Request(key.key_id)) == "UnsupportedOperation"


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("RSA_2048", "RSA_PSS_SHA_256"),
        ("RSA_2048", "RSA_PKCS1_SHA_256"),
        ("RSA_4096", "RSA_PSS_SHA_256"),
        ("EC_P256", "ECDSA_SHA_256"),
        ("EC_P256K", "ECDSA_SHA_256"),
    ],
)
def test_signatures_fit_the_public_key(spec: str, algorithm: str) -> None:
    """Another library checks them with the PEM that the service gives; SIGN/VERIFY is the default usage."""
    desk = Desk()
    key = new_key(desk, key_spec=spec)
    assert key.key_usage == "SIGN/VERIFY"
    version, digest = key.primary_key_version, hashlib.sha256(b"message").digest()
    ask = (key.key_id, version, algorithm, b64(digest))
    signed = desk.ask(asymmetric_sign.Request(*ask)).value
    public = serialization.load_pem_public_key(
        desk.ask(get_public_key.Request(key.key_id, version)).public_key.encode()
    )
    value = base64.b64decode(signed)
    if isinstance(public, rsa.RSAPublicKey):
        assert f"RSA_{public.key_size}" == spec
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        pad = pss if "PSS" in algorithm else padding.PKCS1v15()
        public.verify(value, b"message", pad, hashes.SHA256())
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(value, b"message", ec.ECDSA(hashes.SHA256()))
    assert desk.ask(asymmetric_verify.Request(*ask, signed)).value is True
    other = b64(hashlib.sha256(b"other").digest())
    assert desk.ask(asymmetric_verify.Request(*ask[:3], other, signed)).value is False
    assert desk.code(asymmetric_sign.Request(*ask[:2], "SM2DSA", ask[3])) == "InvalidParameter"
    assert desk.code(asymmetric_sign.Request(*ask[:3], b64(b"short"))) == "InvalidParameter"
    assert desk.code(asymmetric_sign.Request(key.key_id, "none", *ask[2:])) == "Forbidden.KeyVersionNotFound"


def test_a_private_key_opens_what_the_public_one_sealed() -> None:
    """Also what another library sealed; a further version is another key pair."""
    desk = Desk()
    key = new_key(desk, key_spec="RSA_2048", key_usage="ENCRYPT/DECRYPT")
    desk.ask(create_alias.Request("alias/rsa", key.key_id))
    assert desk.code(create_key_version.Request("alias/rsa")) == "Rejected.LimitExceeded", "too early"
    desk.now += 7 * DAY
    second = desk.ask(create_key_version.Request("alias/rsa")).key_version
    assert desk.ask(describe_key_version.Request(key.key_id, second.key_version_id)).key_version == second
    for version in (key.primary_key_version, second.key_version_id):
        for algorithm, digest in (
            ("RSAES_OAEP_SHA_256", hashes.SHA256()),
            ("RSAES_OAEP_SHA_1", hashes.SHA1()),  # noqa: S303  # the API names it
        ):
            ask = ("alias/rsa", version, algorithm)
            sealed = desk.ask(asymmetric_encrypt.Request(*ask, SecretValue(b64(b"x")))).ciphertext_blob
            assert desk.ask(asymmetric_decrypt.Request(*ask, sealed)).plaintext.reveal() == b64(b"x")
            public = serialization.load_pem_public_key(
                desk.ask(get_public_key.Request("alias/rsa", version)).public_key.encode()
            )
            assert isinstance(public, rsa.RSAPublicKey)
            theirs = b64(public.encrypt(b"y", padding.OAEP(padding.MGF1(digest), digest, None)))
            assert desk.ask(asymmetric_decrypt.Request(*ask, theirs)).plaintext.reveal() == b64(b"y")
    too_long = asymmetric_encrypt.Request(
        "alias/rsa", version, "RSAES_OAEP_SHA_256", SecretValue(b64(b"x" * 191))
    )
    assert desk.code(too_long) == "InvalidParameter"
    sign = asymmetric_sign.Request("alias/rsa", version, "RSA_PSS_SHA_256", b64(bytes(32)))
    assert desk.code(sign) == "UnsupportedOperation"


@pytest.mark.parametrize("name", ["SHA_224", "SHA_256", "SHA_384", "SHA_512"])
def test_message_authentication_codes(name: str) -> None:
    """A code fits its message and key only, and has the length of its hash."""
    desk = Desk()
    key, other = (new_key(desk, key_spec=f"HMAC_{name}").key_id for _ in range(2))
    ask = (key, f"HMAC_{name}", SecretValue(b64(b"message")))
    mac = desk.ask(generate_mac.Request(*ask)).mac
    assert len(base64.b64decode(mac)) == hmac.new(b"", b"", name.replace("_", "").lower()).digest_size
    assert desk.ask(verify_mac.Request(*ask, mac)).value is True
    assert desk.ask(verify_mac.Request(other, *ask[1:], mac)).value is False
    assert desk.ask(verify_mac.Request(*ask[:2], SecretValue(b64(b"x")), mac)).value is False
    assert desk.code(generate_mac.Request(new_key(desk).key_id, *ask[1:])) == "UnsupportedOperation"


def test_keys_of_sm2_and_sm3_are_records_only() -> None:
    """As the manual says: they can be made and described, and nothing uses them."""
    desk = Desk()
    digest, text = b64(bytes(32)), SecretValue(b64(b"x"))
    for usage in ("SIGN/VERIFY", "ENCRYPT/DECRYPT"):
        key = new_key(desk, key_spec="EC_SM2", key_usage=usage)
        assert desk.ask(describe_key.Request(key.key_id)).key_metadata.key_spec == "EC_SM2"
        ask = (key.key_id, key.primary_key_version)
        for request in (
            asymmetric_sign.Request(*ask, "SM2DSA", digest),
            asymmetric_verify.Request(*ask, "SM2DSA", digest, digest),
            asymmetric_encrypt.Request(*ask, "SM2PKE", text),
            asymmetric_decrypt.Request(*ask, "SM2PKE", digest),
            get_public_key.Request(*ask),
        ):
            assert desk.code(request) == "UnsupportedOperation"
    mac = new_key(desk, key_spec="HMAC_SM3").key_id
    assert desk.code(generate_mac.Request(mac, "HMAC_SHA_256", text)) == "UnsupportedOperation"
    assert desk.code(generate_mac.Request(mac, "HMAC_SM3", text)) == "InvalidParameter"


@pytest.mark.parametrize(
    "request_",
    [
        decrypt.Request("AA==", recipient="{}"),
        generate_data_key.Request("none", recipient="{}"),
        asymmetric_decrypt.Request("none", "v", "RSAES_OAEP_SHA_256", "AA==", recipient="{}"),
        get_secret_value.Request("none", recipient="{}"),
    ],
)
def test_a_recipient_is_refused(request_: Any) -> None:
    """Wherever an action takes one."""
    assert Desk().code(request_) == "UnsupportedOperation"
