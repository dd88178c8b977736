"""Every quota group has its quota, at the client as at the local KMS."""

from __future__ import annotations

import pytest

from bulkseed.model import QuotaGroup
from bulkseed.service.access.quota import Quota
from bulkseed.service.options import ServiceOptions
from bulkseed.wire.quotas import QUOTAS


def test_every_quota_group_has_a_row() -> None:
    """None is without a limit because somebody forgot it."""
    assert list(QUOTAS) == list(QuotaGroup)
    assert ServiceOptions().limits == QUOTAS


def test_a_group_without_a_limit_is_a_mistake_and_no_freedom() -> None:
    """A local KMS is not built without one; 0 says that there is none."""
    with pytest.raises(KeyError):
        Quota({QuotaGroup.CREATE: 10, QuotaGroup.READ: 450})
    unlimited = Quota(dict.fromkeys(QuotaGroup, 0))
    assert [unlimited.take(QuotaGroup.CREATE, 0.0) for _ in range(20)] == [None] * 20
