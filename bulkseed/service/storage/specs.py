"""Kinds of keys: what each key specification is for, and how its material is made.

Sources: "Key types and specifications" page, CreateKey page (SDK 3.3.1). The pages do not tell the names of
MAC keys; here they are those of their algorithms. Symmetric keys of every specification are AES-256 here:
their ciphertexts are opaque. EC_SM2 and HMAC_SM3 keys are records only: no action uses their material.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ENCRYPT, SIGN, MAC = "ENCRYPT/DECRYPT", "SIGN/VERIFY", "GENERATE/VERIFY"


@dataclass(frozen=True, slots=True)
class Spec:
    """The usages of a key specification, the default first, and a maker of material."""

    usages: tuple[str, ...]
    make: Callable[[], bytes]
    rotates: bool = False


def _secret() -> bytes:
    return os.urandom(32)


def _rsa(bits: int) -> Callable[[], bytes]:
    return lambda: _encoded(rsa.generate_private_key(65537, bits))


def _ec(curve: type[ec.EllipticCurve]) -> Callable[[], bytes]:
    return lambda: _encoded(ec.generate_private_key(curve()))


def _encoded(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


SPECS: Mapping[str, Spec] = {
    **{
        f"Aliyun_{name}": Spec((ENCRYPT,), _secret, rotates=True)
        for name in ("AES_256", "AES_192", "AES_128", "SM4")
    },
    **{f"RSA_{bits}": Spec((SIGN, ENCRYPT), _rsa(bits)) for bits in (2048, 3072, 4096)},
    "EC_P256": Spec((SIGN,), _ec(ec.SECP256R1)),
    "EC_P256K": Spec((SIGN,), _ec(ec.SECP256K1)),
    "EC_SM2": Spec((SIGN, ENCRYPT), _secret),
    **{f"HMAC_{name}": Spec((MAC,), _secret) for name in ("SHA_224", "SHA_256", "SHA_384", "SHA_512", "SM3")},
}
SYMMETRIC = frozenset(name for name, spec in SPECS.items() if spec.rotates)
