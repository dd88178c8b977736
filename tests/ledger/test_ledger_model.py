"""Any history of runs, claims, answers, failures and kills, of a ledger here and of one at a coordinator."""

from __future__ import annotations

from hypothesis import settings
from support.ledger_model import LedgerHistories
from support.remote_ledgers import LEASE, remote

from bulkseed.cluster.hosted_ledger import HostedLedger
from bulkseed.ledger import LedgerPort

TestHistories = LedgerHistories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=40)


class RemoteHistories(LedgerHistories):
    """The same steps over a network that loses, repeats and delays messages."""

    def writer(self) -> LedgerPort:
        """Return a remote ledger."""
        return remote(HostedLedger(self.ledger, LEASE), self.run)


TestRemoteHistories = RemoteHistories.TestCase
TestRemoteHistories.settings = settings(max_examples=15, stateful_step_count=30)
