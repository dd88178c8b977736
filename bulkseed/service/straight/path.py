"""The straight path: a plain signed request is read, checked and answered in one go.

It takes requests of clients whose heads it has learned, from requests that were read and accepted in the
ordinary way, and only while nothing is unusual about them. None means that nothing was done: the ordinary
path answers, and says what is wrong. Both give the same answers (`tests/service/test_straight.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bulkseed.model import Fault, QuotaGroup
from bulkseed.service.context import Service
from bulkseed.service.generic_secrets import add_generic
from bulkseed.service.request_ids import new_request_id, refuse
from bulkseed.service.storage.new_secrets import NewSecret
from bulkseed.service.straight.acs3 import PLACES, Acs3Reader, KnownMetadata, can_be_known
from bulkseed.service.straight.heads import learn_head
from bulkseed.service.straight.plans import Plans
from bulkseed.service.straight.rpc1 import Orders, Rpc1Reader
from bulkseed.service.straight.signed import Reader, Signed
from bulkseed.wire.encoding import is_form, read_items
from bulkseed.wire.fault import fault
from bulkseed.wire.message import API_VERSION, Request, Response
from bulkseed.wire.render import content_type
from bulkseed.wire.signing.acs3 import covers, signed_names
from bulkseed.wire.signing.verify import AccessKey, Caller, verify
from bulkseed.wire.validation.plain import is_plain_secret

HEADS = 8
"""Heads that are known at a time: those that were learned or used last."""
LESSONS = 64
"""Heads that are learned between two ticks; there are clients that write another one each time."""

Serve = Callable[[Caller, Mapping[str, str], float, float], Response]
"""Answers a request whose signature and nonce were accepted; takes `now` and `steady` last."""


class Made(NamedTuple):
    """A response, which holds once it is on disk: unless the name of `new` turns out to be taken."""

    response: Response
    new: NewSecret | None = None


class StraightPath:
    """Answers plain requests to `service`; `serve` does where only the signature can be read straight."""

    def __init__(self, service: Service, serve: Serve) -> None:
        self._service = service
        self._serve = serve
        self._plans = Plans(service.account)
        self._metadata = KnownMetadata(self._plans)
        self._orders = Orders()
        self._readers: list[Reader] = []
        self._lessons = LESSONS

    def tick(self) -> None:
        """Allow new heads again."""
        self._lessons = LESSONS

    def answer(self, data: bytes, now: float, steady: float) -> Made | None:
        """Answer the request that `data` is; None if it has to be read in the ordinary way."""
        for reader in self._readers:
            head = reader.pattern.match(data)
            if head is not None:
                if reader is not self._readers[0]:
                    self._readers.remove(reader)
                    self._readers.insert(0, reader)
                signed = reader.read(head, data, now)
                return None if signed is None else self._admit(signed, now, steady)
        return None

    def final(self, made: Made) -> Response:
        """Return the response, after the commit."""
        if made.new is None or made.new.refusal is None:
            return made.response
        return refuse(made.new.refusal)

    def learn(self, data: bytes, request: Request, now: float) -> None:
        """Know the head of a request from now on, if its signature fits; `data` is the whole request."""
        if not self._lessons or any(reader.pattern.match(data) for reader in self._readers):
            return
        self._lessons -= 1
        reader = self._read_head(data, request, now)
        if reader is not None:
            self._readers.insert(0, reader)
            del self._readers[HEADS:]

    def _admit(self, signed: Signed, now: float, steady: float) -> Made | None:
        service, plan = self._service, signed.metadata.plan
        if plan is not None and signed.action == "CreateSecret" and signed.data is not None:
            asked, name = plan.fields, signed.name
            key = service.keys.ready_for_secret(asked.encryption_key_id, asked.instance_id)
            if (
                key is not None
                and is_plain_secret(name, signed.data)
                and not service.store.is_new(name)
                and service.store.has_room(service.secret_quota)
            ):
                if not self._first(signed, now):
                    return None
                if service.quota.take(QuotaGroup.CREATE, steady) is not None:
                    return Made(refuse(fault("Rejected.Throttling")))
                new = add_generic(service, asked, name, key, signed.data, now, signed.key.account)
                request_id = new_request_id()
                headers = {"content-type": content_type("JSON"), "x-acs-request-id": request_id}
                return Made(Response(200, headers, plan.body(request_id, name)), new)
        if not self._first(signed, now):
            return None
        return Made(self._serve(signed.caller(API_VERSION), signed.parameters(), now, steady))

    def _first(self, signed: Signed, now: float) -> bool:
        return self._service.authority.first_use(signed.key.id, signed.nonce, signed.sent_at, now)

    def _key_of(self, access_key_id: str) -> AccessKey | None:
        """Return a key whose owner may do everything, for as long as the service runs."""
        key = self._service.authority.key_of(access_key_id)
        if key is None or key.security_token or key.expires_at or key.id in self._service.policies.users:
            return None
        return key

    def _read_head(self, data: bytes, request: Request, now: float) -> Reader | None:
        query, form = read_items(request.query), read_items(request.body)
        if query is None or form is None:
            return None
        caller = verify(request, query, form, self._key_of, now)
        if isinstance(caller, Fault) or caller.version != API_VERSION:
            return None
        key, headers = self._key_of(caller.access_key_id), request.headers
        of_form = is_form(headers.get("content-type", ""))
        signed = signed_names(headers.get("authorization", ""))
        head = learn_head(data, PLACES if signed else ())
        if head is None or key is None:
            return None
        if signed is None:
            return Rpc1Reader(head, request.method, self._key_of, self._plans, self._orders, form=of_form)
        if not can_be_known(signed):
            return None
        of_form = of_form and covers(signed, tuple(headers), has_body=True)
        return Acs3Reader(head, request, key, self._metadata, form=of_form)
