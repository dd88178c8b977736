"""The result of one check of the audit: what is wrong, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bulkseed.ledger.reader import LedgerReader

CheckEnd = tuple[list[str], str]
"""What is wrong (empty: nothing), and the numbers to show if nothing is."""


def differences(numbers: Iterable[tuple[str, int, int]]) -> list[str]:
    """Name the numbers, of (what, found, expected), that are not as expected."""
    return [f"{what}: {found:,}, not {expected:,}" for what, found, expected in numbers if found != expected]


def excesses(numbers: Iterable[tuple[str, int, int]]) -> list[str]:
    """Name the numbers, of (what, found, most), that are more than they can be, or negative."""
    return [f"{what}: {found:,}, at most {most:,}" for what, found, most in numbers if not 0 <= found <= most]


def broken(ledger: LedgerReader, rules: Mapping[str, str], source: str) -> tuple[int, list[str]]:
    """Count the rows of `source`, and name the rules, SQL conditions that no row may meet, which some do."""
    sums = ", ".join(f"coalesce(sum({rule}), 0)" for rule in rules.values())
    rows, *counts = next(ledger.select(f"SELECT count(*), {sums} FROM {source}"))  # noqa: S608  # fixed text
    return rows, differences((rule, count, 0) for rule, count in zip(rules, counts, strict=True))
