"""Before a run: checks that credentials which a ledger has not seen are of its account, by a secret of ours.

An answer names the account in its ARN. But what is settled costs no request, and what another account lacks
would be called gone: neither brings an ARN.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

import anyio

from bulkseed.client.operations import question
from bulkseed.engine.ask import Questioner
from bulkseed.engine.lane import Lane
from bulkseed.errors import LedgerTargetError, ServiceError
from bulkseed.ledger import LedgerPort
from bulkseed.model import Fault
from bulkseed.policy.backoff import RetryPolicy
from bulkseed.policy.verdicts import Verdict, classify
from bulkseed.wire.actions import describe_secret
from bulkseed.wire.identifiers import account_of

T = TypeVar("T")

_PATIENCE = RetryPolicy(max_attempts=3, budget=5.0)
_DESCRIBE = question(describe_secret.GROUP, describe_secret.Request, describe_secret.Reply.read)


async def check_account(lane: Lane, ledger: LedgerPort, threads: Executor | None = None) -> None:
    """Refuse credentials of another account than the ledger's, as far as secrets of ours can tell.

    Where they may not be looked at, the first ARN of an answer tells. `threads`: where the ledger is asked,
    as nothing may block the event loop that other targets share; None: here.

    Raises:
        LedgerTargetError: they are of another account, or none of ours is there.
        LedgerError: the ledger cannot be read.
        CredentialsError: the credentials have expired and no new ones can be had.
    """
    proof = await _held(threads, partial(ledger.proof_for, lane.signers.caller))
    if proof is None:
        return
    service = Questioner(lane, _PATIENCE)
    for name in proof.names:
        try:
            reply = await service.ask(_DESCRIBE, describe_secret.Request(name))
        except ServiceError:  # the run will find out what that means
            return
        if not isinstance(reply, Fault):
            found = account_of(reply.arn or "")
            if found is not None:
                await _held(threads, partial(ledger.bind_account, found))
            return
        if classify(reply) is not Verdict.NOT_FOUND:
            return
    if proof.names:
        asked = ", ".join(proof.names)
        raise LedgerTargetError(
            f"ledger {ledger.path} belongs to account {proof.account}, and these credentials are new to it"
            f" and find none of its secrets that were asked for ({asked}): use the credentials of that"
            " account; plan --online tells what is gone"
        )


async def _held(threads: Executor | None, call: Callable[[], T]) -> T:
    """Make a call of the ledger; once begun it is waited for, as the ledger is closed after that."""
    if threads is None:
        return call()
    with anyio.CancelScope(shield=True):
        found = await asyncio.get_running_loop().run_in_executor(threads, call)
    return found  # noqa: RET504  # mypy holds that a scope may swallow what is raised
