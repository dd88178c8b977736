"""Which targets a line is for."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkseed.targets.routing import Router, Unrouted
from bulkseed.targets.spec import TargetSpec


def spec(name: str, *match: str) -> TargetSpec:
    """Return a target with these globs."""
    return TargetSpec(name, "cn-hangzhou", match=match)


ROUTER = Router([spec("prod", "prod/*", "shared/*"), spec("dr", "prod/*"), spec("test", "test/*")])


@pytest.mark.parametrize(
    ("name", "target", "targets"),
    [
        ("prod/db", None, ("prod", "dr")),
        ("shared/db", None, ("prod",)),
        ("prod/db", "test", ("test",)),
        ("anything", ["test", "prod"], ("prod", "test")),
        (None, "dr", ("dr",)),
        ("prod/db", "", ("prod", "dr")),
        ("Prod/db", None, None),
        ("other", None, None),
        (None, None, None),
        (7, None, None),
        ("prod/db", "nowhere", None),
        ("prod/db", ["prod", "nowhere"], None),
        ("prod/db", {"a": 1}, None),
        ("prod/db", [1], None),
        ("prod/db", 0, None),
    ],
)
def test_the_first_rule_that_applies_decides(
    name: object, target: object, targets: tuple[str, ...] | None
) -> None:
    """The line's own word first, then the globs; a line that fits none says why."""
    routed = ROUTER.route(name, target)
    assert isinstance(routed, Unrouted) if targets is None else routed == targets


def test_a_target_without_match_takes_what_names_no_target() -> None:
    """It gets every line, beside those whose globs fit."""
    router = Router([spec("all"), spec("prod", "prod/*")])
    assert router.route("x", None) == ("all",)
    assert router.route("prod/x", None) == ("all", "prod")
    assert router.route("prod/x", "prod") == ("prod",)
    assert router.route(None, None) == ("all",)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["a*", "*b", "ab", "?", "*"]), max_size=2), min_size=1, max_size=5),
    st.text("ab", min_size=1, max_size=3),
)
def test_a_line_without_a_target_goes_to_all_that_fit_and_to_no_other(
    globs: list[list[str]], name: str
) -> None:
    """As the rules say it, in one expression."""
    specs = [spec(f"t{number}", *match) for number, match in enumerate(globs)]
    fits = tuple(s.name for s in specs if not s.match or any(fnmatchcase(name, glob) for glob in s.match))
    routed = Router(specs).route(name, None)
    assert routed == fits if fits else isinstance(routed, Unrouted)
