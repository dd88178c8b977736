"""What ``bulkseed plan --online`` prints of the service's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulkseed.cli.render import say

if TYPE_CHECKING:
    from bulkseed.jobs.preflight import Preflight

CLOCK_WORTH_SAYING = 2.0
"""Seconds; a Date header is no finer than one."""


def print_online(online: Preflight, too_many: int | None) -> None:
    """Print what the service said; `too_many` secrets are to be created where there is too little room."""
    if online.existing is not None:
        deleted = (
            f", {online.in_delete_window:,} are in their delete window" if online.in_delete_window else ""
        )
        new = online.existing - online.changed
        least = "at least " if online.at_least else ""
        say(f"at the service: {least}{new:,} of the names to create exist already{deleted}")
        if least:
            say("  its list of secrets did not add up: it changed meanwhile, or lacks some; ask again")
        if online.changed:
            say(f"  and {online.changed:,} of ours that are to change, as they should")
    if online.gone:
        some = ", ".join(online.gone_names) + (", …" if online.gone > len(online.gone_names) else "")
        say(f"gone: {online.gone:,} settled ones are not at the service any more ({some})")
        say("  bulkseed apply --recreate creates them again")
    if online.left is not None:
        used = f"{online.used:,} of {online.quota:,} used"
        if too_many is not None:
            say(f"not enough room: {too_many:,} to create, {online.left:,} left ({used})")
        else:
            say(f"room for {online.left:,} more secrets ({used})")
    for key in online.keys:
        if key.usable is False:
            say(f"encryption key {key.id} cannot be used: it {key.reason}")
    if usable := sum(key.usable is True for key in online.keys):
        say(f"encryption keys that can be used: {usable:,}")
    if online.clock_ahead_s is not None and abs(online.clock_ahead_s) >= CLOCK_WORTH_SAYING:
        say(f"the service's clock is {online.clock_ahead_s:+g} s from this machine's")
    for question in online.unknown:
        say(f"not told: {question}")
