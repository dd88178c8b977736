"""Whose credentials those of a target are: GetCallerIdentity of STS, asked once with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bulkseed.client.client import Client
from bulkseed.client.credentials import SignerCache
from bulkseed.client.operations import question
from bulkseed.client.work_item import WorkItem
from bulkseed.model import Fault, NoReply, QuotaGroup, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.transport.choose import open_transport
from bulkseed.wire.caller_identity import CallerIdentity, IdentityRequest, sts_signer

STS_TIMEOUT = 5.0
"""Seconds: whoever asks for a checkup does not want to wait for a host that a firewall keeps away."""

_WHO = question(QuotaGroup.READ, IdentityRequest, CallerIdentity.read)


def sts_endpoint(environ: Mapping[str, str]) -> str:
    """Return where STS is asked: at the host at which the vendor's providers assume roles."""
    region = environ.get("ALIBABA_CLOUD_STS_REGION")
    if not region:
        return "https://sts.aliyuncs.com"
    inside = environ.get("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "").lower() == "true"
    return f"https://{'sts-vpc' if inside else 'sts'}.{region}.aliyuncs.com"


async def ask_caller(target: Target, endpoint: str) -> CallerIdentity | Fault | NoReply:
    """Ask STS at an endpoint who signs for a target.

    Raises:
        CredentialsError: there are no credentials.
    """
    clock = Clock()
    signers = SignerCache(replace(target, endpoint=endpoint), clock, sts_signer)
    opening = open_transport(
        endpoint, connections=1, timeout=STS_TIMEOUT, connect_timeout=STS_TIMEOUT, ca_file=target.ca_file
    )
    async with opening as transport:
        pacers = {QuotaGroup.READ: Pacer(0, clock=clock.monotonic)}
        answer = await Client(transport, signers, pacers, clock).call(_WHO, WorkItem(IdentityRequest()))
    return answer or NoReply("not sent", maybe_applied=False)
