"""GetCallerIdentity of STS (API version 2015-04-01, its page of 2025-08): who signs. It needs no permission.

It is another product than KMS, signed the same way; the local KMS does not serve it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bulkseed.model import Credentials
from bulkseed.wire.actions.codec import Document, Parameters, call
from bulkseed.wire.message import Call
from bulkseed.wire.signing.acs3 import Acs3Signer

STS_VERSION = "2015-04-01"


@dataclass(frozen=True, slots=True)
class IdentityRequest(Parameters):
    """It has no parameters."""

    def encode(self) -> Call:
        """Return the call."""
        return call("GetCallerIdentity", self)


@dataclass(frozen=True, slots=True)
class CallerIdentity(Document):
    """Who it is: `identity_type` is Account, RAMUser or AssumedRoleUser."""

    account_id: str
    arn: str
    identity_type: str | None = None


def sts_signer(host: str, credentials: Credentials) -> Acs3Signer:
    """Return a signer of calls of STS at a host."""
    return Acs3Signer(host, credentials, api_version=STS_VERSION)
