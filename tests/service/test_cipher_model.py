"""Codes and data keys against a plain model, and ReEncrypt of what either kind of key sealed.

Sources: the pages of the actions (SDK 3.3.1).
"""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from support.key_machine import KeyMachine, Made, b64, contexts, kinds, spoilt, ways

from bulkseed.model import SecretValue
from bulkseed.wire.actions import (
    asymmetric_encrypt,
    decrypt,
    generate_data_key,
    generate_data_key_without_plaintext,
    generate_mac,
    re_encrypt,
    verify_mac,
)

pytestmark = pytest.mark.usefixtures("few_rsa_keys")

SEALING = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
SIZES = {None: 32, "AES_256": 32, "AES_128": 16}


class CipherModel(KeyMachine):
    """Makes codes and data keys with whatever key, and moves ciphertexts."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[Made] = []
        self.data_keys: list[Made] = []

    @rule(
        kind=kinds,
        way=ways,
        algorithm=st.sampled_from(["HMAC_SHA_256", "HMAC_SHA_512", "MD5"]),
        text=st.sampled_from(["x", "y"]),
    )
    def authenticate(self, kind: str, way: str, algorithm: str, text: str) -> None:
        """The algorithm is that of the key."""
        wrong = self.state(kind, way) | self.wrong(kind, algorithm, "GENERATE/VERIFY")
        message = b64(text)
        reply = self.expect(
            generate_mac.Request(self.name(kind, way), algorithm, SecretValue(message)), wrong
        )
        if reply:
            assert (reply.key_id, reply.algorithm) == (self.keys[kind].id, algorithm)
            self.codes.append(Made(kind, "", algorithm, message, reply.mac))

    @precondition(lambda self: self.codes)
    @rule(pick=st.integers(0, 20), way=ways, spoil=st.sampled_from([None, "message", "mac"]))
    def check_code(self, pick: int, way: str, spoil: str | None) -> None:
        """A code fits its message; another one is no refusal."""
        made = self.codes[pick % len(self.codes)]
        message = b64("z") if spoil == "message" else made.text or ""
        mac = spoilt(made.blob) if spoil == "mac" else made.blob
        request = verify_mac.Request(self.name(made.kind, way), made.algorithm, SecretValue(message), mac)
        reply = self.expect(request, self.state(made.kind, way))
        assert reply is None or (reply.key_id, reply.value) == (self.keys[made.kind].id, spoil is None)

    @rule(
        kind=kinds | st.just("aes"),
        way=ways,
        context=contexts,
        spec=st.sampled_from([None, "AES_256", "AES_128", "AES_512"]),
        size=st.sampled_from([None, None, 0, 1, 1024, 1025]),
        shown=st.booleans(),
    )
    def make_data_key(
        self, kind: str, way: str, context: str | None, spec: str | None, size: int | None, shown: bool
    ) -> None:
        """32 bytes, or what is asked for; NumberOfBytes counts where both are given."""
        wrong = self.state(kind, way)
        if kind not in ("aes", "none"):
            wrong = wrong | {"UnsupportedOperation"}
        if (size is None and spec not in SIZES) or (size is not None and not 1 <= size <= 1024):
            wrong = wrong | {"InvalidParameter"}
        action: Any = generate_data_key if shown else generate_data_key_without_plaintext
        reply = self.expect(action.Request(self.name(kind, way), spec, size, context), wrong)
        if reply:
            version = self.keys[kind].versions[0][0]
            assert (reply.key_id, reply.key_version_id) == (self.keys[kind].id, version)
            plaintext = reply.plaintext.reveal() if shown else None
            assert plaintext is None or len(base64.b64decode(plaintext)) == (size or SIZES[spec])
            self.data_keys.append(Made(kind, version, context or "{}", plaintext, reply.ciphertext_blob))

    @precondition(lambda self: self.data_keys)
    @rule(pick=st.integers(0, 20), context=contexts)
    def open_data_key(self, pick: int, context: str | None) -> None:
        """With its context, however that is spelled."""
        at = pick % len(self.data_keys)
        made = self.data_keys[at]
        reply = self.expect(decrypt.Request(made.blob, context), self.sealed_by(made, context))
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys["aes"].id, made.version)
            assert made.text in (None, reply.plaintext.reveal())
            self.data_keys[at] = made._replace(text=reply.plaintext.reveal())

    def sealed_by(self, made: Made, context: str | None) -> set[str]:
        """Return what is wrong with opening a data key; one of a key that is gone is no ciphertext."""
        fits = orjson.loads(context or "{}") == orjson.loads(made.algorithm)
        wrong = self.state(made.kind)
        gone = "Forbidden.KeyNotFound" in wrong
        return {"InvalidParameter"} if gone else wrong | (set() if fits else {"InvalidParameter"})

    @precondition(lambda self: self.data_keys)
    @rule(pick=st.integers(0, 20), kind=kinds | st.just("aes"), way=ways, before=contexts, after=contexts)
    def move(self, pick: int, kind: str, way: str, before: str | None, after: str | None) -> None:
        """ReEncrypt opens what a symmetric key sealed, and tells which key that was."""
        made = self.data_keys[pick % len(self.data_keys)]
        wrong = self.sealed_by(made, before) | self.state(kind, way)
        if kind not in ("aes", "none"):
            wrong = wrong | {"UnsupportedOperation"}
        reply = self.expect(re_encrypt.Request(made.blob, self.name(kind, way), before, after), wrong)
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys[made.kind].id, made.version)
            version = self.keys[kind].versions[0][0]
            self.data_keys.append(Made(kind, version, after or "{}", made.text, reply.ciphertext_blob))

    @rule(
        way=ways,
        after=contexts,
        algorithm=st.sampled_from(SEALING),
        lacks=st.sampled_from([None, None, None, "key", "version", "algorithm", "right algorithm"]),
    )
    def move_what_a_public_key_sealed(
        self, way: str, after: str | None, algorithm: str, lacks: str | None
    ) -> None:
        """ReEncrypt needs its key, version and algorithm for that."""
        key, text = self.keys["rsa-seal"], b64("p")
        ask = key.id, key.versions[0][0], algorithm
        sealed = self.expect(asymmetric_encrypt.Request(*ask, SecretValue(text)), self.state("rsa-seal"))
        if sealed is None:
            return
        made = Made("rsa-seal", ask[1], algorithm, text, sealed.ciphertext_blob)
        wrong = self.state("aes", way)
        if lacks:
            wrong = (
                wrong | {"InvalidParameter"} | (set() if lacks == "right algorithm" else {"MissingParameter"})
            )
            algorithm = next(other for other in SEALING if other != algorithm)
        request = re_encrypt.Request(
            made.blob,
            self.name("aes", way),
            destination_encryption_context=after,
            source_key_id=None if lacks == "key" else self.name(made.kind, way),
            source_key_version_id=None if lacks == "version" else made.version,
            source_encryption_algorithm=None if lacks == "algorithm" else algorithm,
        )
        reply = self.expect(request, wrong)
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys[made.kind].id, made.version)
            version = self.keys["aes"].versions[0][0]
            self.data_keys.append(Made("aes", version, after or "{}", made.text, reply.ciphertext_blob))

    def teardown(self) -> None:
        """After a last restart every code and data key is good, as its key allows."""
        self.restart()
        for at in range(len(self.codes)):
            self.check_code(at, "id", None)
        for at, made in enumerate(self.data_keys):
            self.open_data_key(at, None if made.algorithm == "{}" else made.algorithm)
        super().teardown()


TestCipherModel = CipherModel.TestCase
TestCipherModel.settings = settings(max_examples=12, stateful_step_count=40)
