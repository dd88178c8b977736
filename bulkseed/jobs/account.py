"""Whether credentials that a ledger has not seen before are of its account: ours are looked for before a run.

An answer names the account in its ARN. But what is settled costs no request, and what another account lacks
would be called gone: neither brings an ARN.
"""

from __future__ import annotations

from bulkseed.client.operations import question
from bulkseed.engine.ask import Questioner
from bulkseed.engine.lane import Lane
from bulkseed.errors import LedgerTargetError, ServiceError
from bulkseed.ledger import Ledger
from bulkseed.model import Fault
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.actions import describe_secret
from bulkseed.wire.shapes import account_of

ASKED = 3
"""How many secrets are asked for: one may have been deleted by hand."""

_PATIENCE = RetryPolicy(max_attempts=3, budget=5.0)
_DESCRIBE = question(describe_secret.GROUP, describe_secret.Request, describe_secret.Reply.read)

_KNOWN = """
SELECT 1 FROM runs r WHERE r.caller IS ?
AND (r.ended_at IS NOT NULL OR EXISTS (SELECT 1 FROM creations c WHERE c.run = r.id)) LIMIT 1"""
"""A run of this caller that came to an end, or created something."""
_OURS = "SELECT name FROM definitions WHERE owned ORDER BY id DESC LIMIT ?"


async def check_account(lane: Lane, ledger: Ledger) -> None:
    """Refuse credentials of another account than the ledger's, as far as secrets of ours can tell.

    Where they may not be looked at, the first ARN of an answer tells.

    Raises:
        LedgerTargetError: they are of another account, or none of ours is there.
        CredentialsError: the credentials have expired and no new ones can be had.
    """
    account = ledger.known_target().account
    if account is None or any(ledger.select(_KNOWN, lane.signers.caller)):
        return
    names = [name for (name,) in ledger.select(_OURS, ASKED)]
    service = Questioner(lane, _PATIENCE)
    for name in names:
        try:
            reply = await service.ask(_DESCRIBE, describe_secret.Request(name))
        except ServiceError:  # the run will find out what that means
            return
        if not isinstance(reply, Fault):
            found = account_of(reply.arn or "")
            if found is not None:
                ledger.bind_account(found)
            return
        if classify(reply) is not Verdict.NOT_FOUND:
            return
    if names:
        raise LedgerTargetError(
            f"ledger {ledger.path} belongs to account {account}, and these credentials are new to it and find"
            f" none of its secrets that were asked for ({', '.join(names)}): use the credentials of that"
            " account; plan --online tells what is gone"
        )
