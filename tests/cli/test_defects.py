"""A defect of ours ends a command with its place and its type, never with what the exception carries."""

from __future__ import annotations

from bulkseed.cli.app import describe_defect

CANARY = "canary-in-an-exception"


def test_a_defect_names_its_place_and_not_its_text() -> None:
    """Type, file and function are there, also from inside a group; the message is not."""
    try:
        int(CANARY)
    except ValueError as error:
        told = describe_defect(ExceptionGroup(CANARY, [error]))
    assert CANARY not in told
    assert "ValueError" in told
    assert "test_defects.py" in told
    assert "in test_a_defect" in told
