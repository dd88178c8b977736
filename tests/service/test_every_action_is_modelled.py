"""No action of the local KMS is forgotten: a model knows it, and the fuzzer has a good request of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from support.good_requests import GOOD, Things
from support.kms import Desk

from bulkseed.service.served import SERVED
from bulkseed.wire.encoding import canonical_query
from bulkseed.wire.message import Call

pytestmark = pytest.mark.usefixtures("few_rsa_keys")

NOT_MODELLED: dict[str, str] = {}
"""Actions that no model asks, each with the reason."""
ACTIONS = "bulkseed.wire.actions"


def machines() -> Iterator[tuple[ast.Module, ast.ClassDef]]:
    """Return every state machine of the tests, and the file that it is in."""
    files = [ast.parse(path.read_text()) for path in Path(__file__).parents[1].rglob("*.py")]
    found = {"RuleBasedStateMachine"}
    while True:
        derived = {
            (file, node)
            for file in files
            for node in file.body
            if isinstance(node, ast.ClassDef)
            and found.intersection(base.id for base in node.bases if isinstance(base, ast.Name))
        }
        names = {node.name for _, node in derived}
        if names <= found:
            yield from derived
            return
        found |= names


def modelled() -> set[str]:
    """Return the actions whose modules a state machine names."""
    actions = set()
    for file, machine in machines():
        imported = {
            name.asname or name.name: name.name
            for node in file.body
            if isinstance(node, ast.ImportFrom) and node.module == ACTIONS
            for name in node.names
        }
        named = {node.id for node in ast.walk(machine) if isinstance(node, ast.Name)} & imported.keys()
        actions |= {str(import_module(f"{ACTIONS}.{imported[name]}").ACTION) for name in named}
    return actions


def test_a_model_knows_every_action() -> None:
    """What none knows is on the list, and nothing else is."""
    assert SERVED.keys() - modelled() == NOT_MODELLED.keys()
    assert all(NOT_MODELLED.values())


def test_the_fuzzer_knows_every_action() -> None:
    """There is a good request of each."""
    assert GOOD.keys() == SERVED.keys()


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_good_requests_are_good(signature: str) -> None:
    """Each is granted, so that the fuzzer starts behind all checks."""
    refused = {}
    for action, parameters in GOOD.items():
        desk = Desk(signature=signature)
        things = Things(desk, "fake")
        query = canonical_query((name, things.text(text)) for name, text in parameters.items())
        response = desk.send(Call(action, query))
        if response.status != 200:
            refused[action] = response.body
    assert refused == {}
