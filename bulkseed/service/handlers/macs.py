"""Message authentication codes: GenerateMac, VerifyMac."""

from __future__ import annotations

import hmac

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.ciphers import usable
from bulkseed.service.storage.keys import Key
from bulkseed.service.storage.specs import MAC
from bulkseed.wire.actions import generate_mac, verify_mac
from bulkseed.wire.encoding import read_base64, write_base64
from bulkseed.wire.fault import fault, invalid_parameter

HASHES = {f"HMAC_SHA_{bits}": f"sha{bits}" for bits in (224, 256, 384, 512)}


def generate(context: Context, asked: generate_mac.Request, /) -> generate_mac.Reply | Fault:
    """Return the code of a message."""
    made = _mac(context, asked)
    if isinstance(made, Fault):
        return made
    key, mac = made
    return generate_mac.Reply(context.request_id, key.id, asked.algorithm, write_base64(mac))


def verify(context: Context, asked: verify_mac.Request, /) -> verify_mac.Reply | Fault:
    """Tell whether a code is that of a message."""
    given = read_base64(asked.mac)
    if given is None:
        return invalid_parameter("Mac")
    made = _mac(context, asked)
    if isinstance(made, Fault):
        return made
    key, mac = made
    fits = hmac.compare_digest(mac, given)
    return verify_mac.Reply(context.request_id, key.id, asked.algorithm, fits)


def _mac(context: Context, asked: generate_mac.Request | verify_mac.Request) -> tuple[Key, bytes] | Fault:
    message = read_base64(asked.message.reveal())
    if message is None:
        return invalid_parameter("Message")
    if asked.algorithm not in HASHES:
        return invalid_parameter("Algorithm")
    key = usable(context, asked.key_id)
    if isinstance(key, Fault):
        return key
    if key.usage != MAC or key.spec not in HASHES:
        return fault("UnsupportedOperation")
    if key.spec != asked.algorithm:
        return invalid_parameter("Algorithm", "It is not that of the key.")
    material = context.service.envelope.material(key.version)
    return key, hmac.digest(material, message, HASHES[asked.algorithm])
