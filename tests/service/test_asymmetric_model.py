"""Asymmetric keys and their versions against a plain model: signatures, ciphertexts, public keys.

Sources: the pages of the actions (SDK 3.3.1); of the limits of versions, CreateKeyVersion's.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from support.key_machine import ALGORITHMS, DAY, KeyMachine, Made, b64, kinds, numbers, spoilt, ways

from bulkseed.model import SecretValue
from bulkseed.wire.actions import (
    asymmetric_decrypt,
    asymmetric_encrypt,
    asymmetric_sign,
    asymmetric_verify,
    create_key_version,
    describe_key_version,
    get_public_key,
    list_key_versions,
)

pytestmark = pytest.mark.usefixtures("few_rsa_keys")

SIGNING, SEALING = sorted(ALGORITHMS["rsa-sign"] | ALGORITHMS["ec"]), sorted(ALGORITHMS["rsa-seal"])


class AsymmetricModel(KeyMachine):
    """Signs, seals and makes versions with whatever key."""

    def __init__(self) -> None:
        super().__init__()
        self.signatures: list[Made] = []
        self.ciphertexts: list[Made] = []
        self.public: dict[str, str] = {}

    @rule(
        kind=kinds,
        way=ways,
        number=numbers,
        algorithm=st.sampled_from([*SIGNING, "SM2DSA"]),
        size=st.just(32) | numbers,
    )
    def sign(self, kind: str, way: str, number: int, algorithm: str, size: int) -> None:
        """A key that signs, an algorithm of its kind, a digest of its hash."""
        version, unknown = self.version(kind, number)
        wrong = self.state(kind, way) | unknown | self.wrong(kind, algorithm, "SIGN/VERIFY")
        if size != 32:
            wrong |= {"InvalidParameter", "MissingParameter"} if size == 0 else {"InvalidParameter"}
        digest = b64("d" * size)
        reply = self.expect(asymmetric_sign.Request(self.name(kind, way), version, algorithm, digest), wrong)
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys[kind].id, version)
            self.signatures.append(Made(kind, version, algorithm, digest, reply.value))

    @precondition(lambda self: self.signatures)
    @rule(
        pick=st.integers(0, 20), way=ways, spoil=st.sampled_from([None, None, "digest", "value", "version"])
    )
    def verify(self, pick: int, way: str, spoil: str | None) -> None:
        """A signature fits its digest and its version, and nothing else; that is no refusal."""
        made = self.signatures[pick % len(self.signatures)]
        digest, value, version = made.text, made.blob, made.version
        if spoil == "digest":
            digest = b64("e" * 32)
        elif spoil == "value":
            value = spoilt(value)
        elif spoil == "version":
            version = self.keys[made.kind].versions[0][0]
        request = asymmetric_verify.Request(
            self.name(made.kind, way), version, made.algorithm, digest or "", value
        )
        reply = self.expect(request, self.state(made.kind, way))
        if reply:
            fits = spoil is None or (spoil == "version" and self.same(version, made.version))
            assert (reply.key_id, reply.value) == (self.keys[made.kind].id, fits)

    def same(self, one: str, other: str) -> bool:
        """Tell whether two versions have the same key pair, as it may be among the few of these tests."""
        return one == other or self.public.get(one, one) == self.public.get(other, other)

    @rule(
        kind=kinds,
        way=ways,
        number=numbers,
        algorithm=st.sampled_from([*SEALING, "SM2PKE"]),
        length=st.sampled_from([0, 1, 190, 300]),
    )
    def seal(self, kind: str, way: str, number: int, algorithm: str, length: int) -> None:
        """With the public key, up to what the algorithm lets in."""
        version, unknown = self.version(kind, number)
        wrong = self.state(kind, way) | unknown | self.wrong(kind, algorithm, "ENCRYPT/DECRYPT")
        if not 1 <= length <= 190:
            wrong |= {"InvalidParameter", "MissingParameter"}
        plaintext = b64("p" * length)
        request = asymmetric_encrypt.Request(self.name(kind, way), version, algorithm, SecretValue(plaintext))
        reply = self.expect(request, wrong)
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys[kind].id, version)
            self.ciphertexts.append(Made(kind, version, algorithm, plaintext, reply.ciphertext_blob))

    @precondition(lambda self: self.ciphertexts)
    @rule(pick=st.integers(0, 20), way=ways, spoil=st.sampled_from([None, None, "blob", "algorithm"]))
    def open(self, pick: int, way: str, spoil: str | None) -> None:
        """With the version and the algorithm that it was made with, and only unchanged."""
        made = self.ciphertexts[pick % len(self.ciphertexts)]
        blob = spoilt(made.blob) if spoil == "blob" else made.blob
        algorithm = next(a for a in SEALING if (a == made.algorithm) != (spoil == "algorithm"))
        wrong = self.state(made.kind, way) | ({"InvalidParameter"} if spoil else set())
        request = asymmetric_decrypt.Request(self.name(made.kind, way), made.version, algorithm, blob)
        reply = self.expect(request, wrong)
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys[made.kind].id, made.version)
            assert reply.plaintext.reveal() == made.text

    @rule(kind=kinds, way=ways, number=numbers)
    def read_public_key(self, kind: str, way: str, number: int) -> None:
        """Each version of an asymmetric key has one, which stays."""
        version, wrong = self.version(kind, number)
        wrong = (
            wrong | self.state(kind, way) | ({"UnsupportedOperation"} if kind in ("aes", "mac") else set())
        )
        reply = self.expect(get_public_key.Request(self.name(kind, way), version), wrong)
        if reply:
            assert (reply.key_id, reply.key_version_id) == (self.keys[kind].id, version)
            assert self.public.setdefault(version, reply.public_key) == reply.public_key

    @rule(kind=kinds, way=ways)
    def make_version(self, kind: str, way: str) -> None:
        """Only of asymmetric keys that are enabled, and seven days after the one before."""
        key, wrong = self.keys.get(kind), self.state(kind, way)
        if kind in ("aes", "mac"):
            wrong = wrong | {"UnsupportedOperation"}
        elif key and self.now - key.versions[0][1] < 7 * DAY:
            wrong = wrong | {"Rejected.LimitExceeded"}
        reply = self.expect(create_key_version.Request(self.name(kind, way)), wrong)
        if reply and key:
            assert reply.key_version.key_id == key.id
            key.versions.insert(0, (reply.key_version.key_version_id, self.now))
            self.read_public_key(kind, "id", 0)

    @rule(kind=kinds, way=ways, number=numbers, size=st.integers(1, 2))
    def list_versions(self, kind: str, way: str, number: int, size: int) -> None:
        """In any state; all pages together have each version once, and one after the last is empty."""
        name, wrong = self.name(kind, way), self.state(kind, way, used=False)
        version, unknown = self.version(kind, number)
        described = self.expect(describe_key_version.Request(name, version), wrong | unknown)
        assert described is None or described.key_version.key_version_id == version
        found: list[str] = []
        for page in range(1, 6):
            reply = self.expect(list_key_versions.Request(name, page, size), wrong)
            if reply is None:
                return
            assert reply.total_count == len(self.keys[kind].versions)
            found += [version.key_version_id for version in reply.key_versions]
        assert found == [version for version, _ in self.keys[kind].versions][: 5 * size]
        assert self.expect(list_key_versions.Request(name, 0, size), {"InvalidParameter"}) is None
        assert self.expect(list_key_versions.Request(name, 1, 101), {"InvalidParameter"}) is None

    def teardown(self) -> None:
        """After a last restart every signature and ciphertext is good, as its key allows."""
        self.restart()
        for at in range(len(self.signatures)):
            self.verify(at, "id", None)
        for at in range(len(self.ciphertexts)):
            self.open(at, "id", None)
        super().teardown()


TestAsymmetricModel = AsymmetricModel.TestCase
TestAsymmetricModel.settings = settings(max_examples=12, stateful_step_count=40)
