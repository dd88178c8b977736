"""A reply tells only what is checked, and decides the same: a value may look like a part of it by chance."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkseed.client.sanitize import sanitized
from bulkseed.model import Fault, Origin, SecretDefinition, SecretValue
from bulkseed.policy.steps import CREATE, PUT, RESTORE, Found
from bulkseed.policy.verdicts import RULES, classify

CODES = st.sampled_from([rule.code for rule in RULES if rule.code])
REST = st.one_of(st.just(""), st.text("abc.é! ", max_size=8))
STATUSES = st.sampled_from([200, 400, 403, 409, 429, 500, 503])


def definition(value: str) -> SecretDefinition:
    """Return a definition with a value."""
    return SecretDefinition("a", SecretValue(value), "v1", Origin("m.jsonl", 1))


@given(CODES, REST, STATUSES, st.text("xyz", max_size=3), st.sampled_from([CREATE, PUT, RESTORE]))
def test_a_code_decides_the_same_whatever_the_value_is(code, rest, status, more, step) -> None:  # type: ignore[no-untyped-def]  # of strategies
    """A value that holds a code, or a part of it, hides text and changes no verdict."""
    text = code.removesuffix("*") + (rest if code.endswith("*") else "")
    fault = Fault(text, status)
    safe = sanitized(fault, definition(text + more))
    assert classify(safe, step) == classify(fault, step)
    assert not rest or rest not in safe.code or rest in code


@given(st.text("v123", min_size=1, max_size=4), st.text("v123", max_size=8))
def test_a_version_stays_what_it_is_whatever_the_value_is(version: str, value: str) -> None:
    """A value that holds the version hides it from people; it is compared all the same."""
    found = sanitized(Found(version, same_value=False, created=None), definition(value))
    assert found.version_id == version
    assert found.told in {version, "another one"}
    assert version not in value or found.told == "another one" or version == "v1"
    assert version not in repr(found) or version in "Found(same_value=False, created=None, echoes=True)"
