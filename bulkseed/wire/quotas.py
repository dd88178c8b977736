"""Requests a second that an account may send in a region, by quota group (performance page, 2025-02)."""

from __future__ import annotations

from bulkseed.model import QuotaGroup

QUOTAS = {QuotaGroup.CREATE: 10.0, QuotaGroup.READ: 450.0, QuotaGroup.MANAGE: 40.0}
