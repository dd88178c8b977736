"""A remote ledger whose network loses, repeats and delays messages; what is done is done once."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson

from bulkseed.cluster.hosted_ledger import HostedLedger, LedgerCall
from bulkseed.cluster.remote_ledger import Operations, RemoteLedger
from bulkseed.errors import LedgerError

LEASE = 30.0


def over_json(hosted: HostedLedger, call: LedgerCall) -> dict[str, Any]:
    """Bring a call there and its reply back, as they travel."""
    return dict(orjson.loads(orjson.dumps(hosted.answer(orjson.loads(orjson.dumps(call))))))


class LossyCalls:
    """Makes the calls of one execution; each may be lost on the way there or back, or come twice, or late."""

    def __init__(self, hosted: HostedLedger, seed: int) -> None:
        self._hosted = hosted
        self._random = Random(seed)  # noqa: S311  # it has to be repeatable
        placement = hosted.placement
        assert placement is not None
        self._head = {"target": "t", "ticket": placement.ticket, "incarnation": "first"}
        self._earlier: list[LedgerCall] = []
        self.number = 0

    def __call__(self, operations: Operations) -> list[Any]:
        """Have operations done; the results.

        Raises:
            LedgerError: the coordinator says so.
        """
        self.number += 1
        call = {**self._head, "number": self.number, "operations": operations}
        if self._earlier and self._random.random() < 0.2:
            over_json(self._hosted, self._random.choice(self._earlier))  # it was under way for long
        while self._random.random() < 0.2:
            if self._random.random() < 0.5:
                over_json(self._hosted, call)  # done, and the reply is lost
        reply = over_json(self._hosted, call)
        self._earlier.append(call)
        if "refused" in reply or "error" in reply["reply"]:
            raise LedgerError(reply.get("refused") or reply["reply"]["error"])
        return list(reply["reply"]["results"])


def remote(hosted: HostedLedger, seed: int) -> RemoteLedger:
    """Place a target, and return the ledger as its worker has it."""
    hosted.place("a worker")
    return RemoteLedger(hosted.ledger.path, LossyCalls(hosted, seed))
