"""All signatures behind one table and one function.

`SIGNATURES` has a row for each version of the signature; `verify` tells which one a request carries, checks
it, and says who called. The rules for refusing live here (KMS common errors page, API gateway errors page):

- a timestamp further than 15 minutes from the service's clock is refused, an absent one and one that is no
  time each with a code of its own;
- a temporary key needs its security token, and a permanent one must come without; only who signs well learns
  which;
- a nonce is demanded (RPC request syntax page), although KMS's own example of RPC 1.0 has none: what has
  none can be sent again;
- a refusal has the form of the gateway's, whose text ends with the string to sign after a colon. Older
  clients take that text apart. Ours withholds the string, because it holds the secret's value.

That a nonce is used once only is the service's to remember: `Caller` has it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from bulkseed.model import Fault, SecretValue
from bulkseed.wire.encoding import Item, parse_timestamp
from bulkseed.wire.message import Request
from bulkseed.wire.signing import acs3, rpc1
from bulkseed.wire.signing.signature import Received, Signature

CLOCK_WINDOW = 15 * 60
"""Seconds that a request's clock may differ from the service's, either way."""


SIGNATURES: dict[str, Signature] = {"acs3": acs3.ACS3, "rpc1": rpc1.RPC1}


def recognise(received: Received) -> Signature | None:
    """Return the signature that a request carries, None if it carries none."""
    for each in SIGNATURES.values():
        if each.recognises(received):
            return each
    return None


@dataclass(slots=True, frozen=True)
class AccessKey:
    """A key that the service accepts. `expires_at` is in epoch seconds, None for a permanent key."""

    id: str
    secret: SecretValue
    account: str
    security_token: SecretValue | None = None
    expires_at: float | None = None


@dataclass(slots=True)
class Caller:
    """Who sent a request, and what of it the signature vouches for.

    `timestamp` is in epoch seconds.
    """

    access_key_id: str
    account: str
    action: str
    version: str
    nonce: str
    timestamp: float


def verify(
    request: Request,
    query: list[Item],
    form: list[Item],
    secret_of: Callable[[str], AccessKey | None],
    now: float,
) -> Caller | Fault:
    """Check the signature of `request`, whichever it carries; never raises for what was sent.

    `query` and `form` are what the URL and the body were read as. `secret_of` finds a key by its id.
    """
    received = Received(request, query, form)
    signature = recognise(received)
    claim = signature.read(received) if signature else None
    if signature is None or claim is None:
        return _fault("IncompleteSignature")
    key = secret_of(claim.access_key_id)
    if key is None:
        return _fault("InvalidAccessKeyId.NotFound")
    sent_at = parse_timestamp(claim.timestamp)
    if sent_at is None:
        return _fault("InvalidTimeStamp.Format" if claim.timestamp else "IllegalTimestamp")
    if abs(now - sent_at) > CLOCK_WINDOW:
        return _fault("InvalidTimeStamp.Expired")
    secret = key.secret.reveal().encode()
    expected = signature.expected(received, claim, secret)
    if expected is None or not _same(expected, claim.signature):
        return _fault("SignatureDoesNotMatch")
    if not _token_fits(key.security_token, claim.security_token):
        return _fault("InvalidSecurityToken.MismatchWithAccessKey")
    if key.expires_at is not None and key.expires_at <= now:
        return _fault("InvalidSecurityToken.Expired")
    if not claim.nonce:
        return _fault("MissingParameter")
    return Caller(key.id, key.account, claim.action, claim.version, claim.nonce, sent_at)


_FAULTS = {
    "IncompleteSignature": (400, "The request signature does not conform to Alibaba Cloud standards."),
    "InvalidAccessKeyId.NotFound": (404, "The Access Key ID provided does not exist in our records."),
    "InvalidSecurityToken.MismatchWithAccessKey": (
        400,
        "Specified SecurityToken mismatch with the AccessKey.",
    ),
    "InvalidSecurityToken.Expired": (400, "Specified SecurityToken is expired."),
    "IllegalTimestamp": (
        400,
        'The input parameter "Timestamp" that is mandatory for processing this request is not supplied.',
    ),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "MissingParameter": (
        400,
        'The input parameter "SignatureNonce" that is mandatory for processing this request is not supplied.',
    ),
    "SignatureDoesNotMatch": (
        400,
        "Specified signature is not matched with our calculation. server string to sign is:(withheld)",
    ),
}


def _fault(code: str) -> Fault:
    status, message = _FAULTS[code]
    return Fault(code, status, message)


def _token_fits(token: SecretValue | None, given: str | None) -> bool:
    if token is None or given is None:
        return token is None and given is None
    return _same(token.reveal(), given)


def _same(expected: str, given: str) -> bool:
    """Compare in constant time; anything that may arrive in a header can be compared."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))
