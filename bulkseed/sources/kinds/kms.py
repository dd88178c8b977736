"""Alibaba Cloud KMS as a source: another account, region or instance, through our own client.

Names, states and tags come with ListSecrets; the version in force takes a ListSecretVersionIds for each,
which is paced by the quota of management calls. The version's own id is kept at the target. Secrets of
managed types are rotated where they are, so each of them is a row that says so.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

import anyio.from_thread

from bulkseed.client.caller import ask_caller, sts_endpoint
from bulkseed.client.client import Client
from bulkseed.client.credentials import SignerCache, find_credentials
from bulkseed.client.operations import Operation, question
from bulkseed.client.work_item import WorkItem
from bulkseed.errors import UsageError
from bulkseed.ledger.binding import host_of
from bulkseed.model import Credentials, Fault, NoReply, Target
from bulkseed.pacing.clock import Clock
from bulkseed.pacing.pacer import Pacer
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.sources.kinds.shared.lives import lives
from bulkseed.sources.mapping import relative
from bulkseed.sources.protocol import Content, Reference, Source, SourceFault
from bulkseed.transport.choose import open_transport
from bulkseed.transport.endpoint import is_public, parse_endpoint
from bulkseed.wire.actions import get_secret_value, list_secret_version_ids, list_secrets
from bulkseed.wire.caller_identity import CallerIdentity
from bulkseed.wire.encoding import parse_timestamp
from bulkseed.wire.quotas import QUOTAS

A = TypeVar("A")
R = TypeVar("R")

ENVIRONMENT = "BULKSEED_SOURCE_"
"""Before the names of the usual variables: credentials of the source alone."""

_LIST = question(list_secrets.GROUP, list_secrets.Request, list_secrets.Reply.read)
_VERSIONS = question(
    list_secret_version_ids.GROUP, list_secret_version_ids.Request, list_secret_version_ids.Reply.read
)
_READ = question(get_secret_value.GROUP, get_secret_value.Request, get_secret_value.Reply.read)


class KmsSource(Source):
    """The secrets of an account and region, below a prefix."""

    OPTIONS = frozenset({"profile", "endpoint"})
    AUTH = frozenset({"profile", "ca_file"})
    PINS = True
    RATE = 0.0  # the quotas of the service hold; a rate of the user's comes on top

    def open(self) -> None:
        """Find the credentials, and open connections."""
        spec = self.spec
        if not spec.host:
            raise UsageError(f"{spec.label}: the address must name a region: kms://region/prefix")
        endpoint = spec.option("endpoint") or f"https://kms.{spec.host}.aliyuncs.com"
        ca_file = str(spec.folder / spec.setting("ca_file")) if spec.setting("ca_file") else None
        if parse_endpoint(endpoint, ca_file).tls is None and is_public(endpoint):
            raise UsageError(f"{spec.label}: http would carry values in plaintext: use https")
        own = {
            name.removeprefix(ENVIRONMENT): text
            for name, text in os.environ.items()
            if name.startswith(ENVIRONMENT)
        }
        profile = spec.setting("profile") or spec.option("profile") or None
        found = find_credentials(own or os.environ, profile)
        self._target = Target(endpoint, spec.host, found, "acs3", ca_file)
        anyio.from_thread.run(self._connect)

    async def _connect(self) -> None:
        clock = Clock()
        self._signers = signers = SignerCache(self._target, clock)
        await signers.signer()
        self._stack = AsyncExitStack()
        opening = open_transport(
            self._target.endpoint, connections=self.spec.in_flight, ca_file=self._target.ca_file
        )
        transport = await self._stack.enter_async_context(opening)
        pacers = {group: Pacer(limit, clock=clock.monotonic) for group, limit in QUOTAS.items()}
        self._client = Client(transport, signers, pacers, clock)

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret once, page by page; pages shift while others create secrets."""
        seen: set[str] = set()
        page_number = 0
        while True:
            page_number += 1
            wanted = list_secrets.Request(fetch_tags=True, page_number=page_number, page_size=100)
            page = self.patiently(partial(self._ask, _LIST, wanted))
            for entry in page.secret_list:
                path = relative(entry.secret_name, self.spec.path)
                if path is not None and entry.secret_name not in seen:
                    seen.add(entry.secret_name)
                    reference = self._reference(path, entry)
                    if reference is not None:
                        yield reference
            if page_number * 100 >= page.total_count or not page.secret_list:
                return

    def _reference(self, path: str, entry: list_secrets.Secret) -> Reference | None:
        """Return what is known of a secret; None: it was deleted for good after the page had been made."""
        problem = version = None
        if entry.planned_delete_time:
            problem = "is scheduled to be deleted"
        elif (entry.secret_type or "Generic") != "Generic" or entry.owing_service:
            problem = "is of a managed type, whose value is rotated where it is"
        else:
            try:
                version = self._current(entry.secret_name)
                problem = None if version else "has no current version"
            except SourceFault as fault:
                if fault.code == "Source.NotFound":
                    return None
                problem = _PROBLEMS.get(fault.code)
                if problem is None:
                    raise
        return Reference(
            path,
            version,
            problem,
            parse_timestamp(entry.update_time) if entry.update_time else None,
            handle=entry.secret_name,
            tags={tag.tag_key: tag.tag_value for tag in entry.tags if tag.tag_key and tag.tag_value},
        )

    def _current(self, name: str) -> str | None:
        wanted = list_secret_version_ids.Request(name, page_size=100)
        found = self.patiently(partial(self._ask, _VERSIONS, wanted))
        return next((v.version_id for v in found.version_ids if "ACSCurrent" in v.version_stages), None)

    def named(self, path: str) -> Reference:
        """Return what reads a name."""
        return Reference(path, handle=path)

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read each at its listed version."""
        return [self._read(reference) for reference in references]

    def _read(self, reference: Reference) -> Content | SourceFault:
        found = self._ask(_READ, get_secret_value.Request(reference.handle, version_id=reference.version))
        text = found.secret_data.reveal()
        if found.secret_data_type != "binary":  # noqa: S105  # no password
            return Content(text, found.version_id)
        try:
            return Content(base64.b64decode(text, validate=True), found.version_id)
        except binascii.Error:
            return SourceFault("Unreadable", "its binary value is not valid Base64")

    def _ask(self, operation: Operation[R, A], request: R) -> A:
        """Make one request in its turn.

        Raises:
            SourceFault: it failed.
        """
        with self.pacer.turn():
            answer = anyio.from_thread.run(self._client.call, operation, WorkItem(request))
        if isinstance(answer, Fault):
            kind = _KINDS.get(classify(answer), "Unreadable")
            raise SourceFault(kind, status=answer.status, retry_after=answer.retry_after)
        if isinstance(answer, NoReply) or answer is None:
            raise SourceFault("Certificate" if answer is not None and answer.fatal else "Unavailable")
        return answer

    def who(self) -> str:
        """Tell who signs, which STS tells of the public service alone, and how long the key lives."""
        told = self._caller(self._target)
        who = f"{told.arn} of account {told.account_id}" if told else f"access key {self._signers.caller}"
        key = self._target.credentials
        if isinstance(key, Credentials) and key.security_token is not None:
            return f"{who}; its key expires, and when is not told"
        return f"{who}; its key {lives(None) if self._signers.lasting else 'expires, and is renewed'}"

    def _caller(self, target: Target) -> CallerIdentity | None:
        """Return who signs for a target of the public service; None where STS does not tell."""
        if not is_public(target.endpoint):
            return None
        told = anyio.from_thread.run(ask_caller, target, sts_endpoint(os.environ))
        return told if isinstance(told, CallerIdentity) else None

    def is_target(self, target: Target) -> bool:
        """Compare places, and access keys or the accounts that STS tells of them."""
        if host_of(self._target.endpoint) != host_of(target.endpoint):
            return False
        both = (self._target.credentials, target.credentials)
        keys = [found.access_key_id for found in both if isinstance(found, Credentials)]
        if len(keys) == len(both) and keys[0] == keys[1]:
            return True
        here = self._caller(self._target)
        there = self._caller(target) if here else None
        return here is not None and there is not None and here.account_id == there.account_id

    def close(self) -> None:
        """Close the connections."""
        if hasattr(self, "_stack"):
            anyio.from_thread.run(self._stack.aclose)


_PROBLEMS = {
    "Source.Denied": "may not be looked at by us",
    "Source.Deleted": "is scheduled to be deleted",
}
"""Faults of one secret whose version is asked for, which cost no other."""

_KINDS = {
    Verdict.THROTTLED: "Throttled",
    Verdict.RETRY: "Unavailable",
    Verdict.CLOCK: "Unavailable",  # corrected by the answer
    Verdict.NO_PERMISSION: "Denied",
    Verdict.NOT_FOUND: "NotFound",
    Verdict.IN_DELETE_WINDOW: "Deleted",
    Verdict.ABORT: "Credentials",
}
