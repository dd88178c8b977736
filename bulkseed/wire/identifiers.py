"""The shapes of what replies carry: request ids, error codes, version ids, ARNs (the API pages' examples)."""

from __future__ import annotations

import re

REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{8,64}")
VERSION_ID = re.compile(r"[0-9A-Za-z_/+=.@-]{1,64}")
CODE = re.compile(r"[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*){0,3}|HTTP\d{3}")
CODE_MAX = 80
ARN_PREFIX = re.compile(r"acs:kms:[a-z0-9-]{1,40}:\d{1,20}:secret/")
_ARN = re.compile(r"acs:[a-z]+:[a-z0-9-]*:(\d+):.*")


def account_of(arn: str) -> str | None:
    """Return the account of ``acs:kms:REGION:ACCOUNT:secret/NAME`` (CreateSecret page), None of others."""
    found = _ARN.fullmatch(arn)
    return found[1] if found else None
