"""Typed arguments: a command's options are the fields of a frozen dataclass, and click fills it.

A field says how it is given with `Annotated[type, option(...)]`. A field that is itself such a dataclass
brings its own options: groups are shared between commands that way.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import click

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])


class _Declaration(NamedTuple):
    declare: Callable[..., Callable[[Any], Any]]
    names: tuple[str, ...]
    settings: dict[str, Any]


def option(*names: str, **settings: Any) -> _Declaration:
    """Say that a field is this option; the settings are those of `click.option`, and a default is shown."""
    settings.setdefault("show_default", settings.get("default") not in (None, ""))
    return _Declaration(click.option, names, settings)


def argument(**settings: Any) -> _Declaration:
    """Say that a field is a positional argument; the settings are those of `click.argument`."""
    return _Declaration(click.argument, (), settings)


class Number(click.FloatRange):
    """A number within bounds, both included; `above` excludes the lower one. No NaN."""

    def __init__(self, low: float = 0, high: float = 1_000_000, *, above: bool = False) -> None:
        super().__init__(low, high, min_open=above)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; click's own lets NaN through, which every comparison does."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


class RowName(click.ParamType[str]):
    """The name of a row of a table, which is imported when it is asked for."""

    name = "row"

    def __init__(self, module: str, table: str) -> None:
        self._module, self._table = module, table

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name if there is such a row."""
        return self._choice().convert(value, param, ctx)

    def get_metavar(self, *_what: Any, **_more: Any) -> str:
        """Show all names."""
        return f"[{'|'.join(self._choice().choices)}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        """Offer all names."""
        return self._choice().shell_complete(ctx, param, incomplete)

    def _choice(self) -> click.Choice[str]:
        return click.Choice([*getattr(import_module(self._module), self._table)])


def takes(arguments: type[A]) -> Callable[[Callable[[A], int]], Callable[..., int]]:
    """Give a command the options of `arguments`; the function is called with one such object."""

    def decorate(function: Callable[[A], int]) -> Callable[..., int]:
        @functools.wraps(function)
        def command(**given: Any) -> int:
            return function(build(arguments, given))

        return options_of(arguments)(command)

    return decorate


def options_of(arguments: type[Any]) -> Callable[[F], F]:
    """Give a command the options of `arguments`, each as an argument of its own."""

    def decorate(command: F) -> F:
        for name, declared in reversed(list(_declared(arguments))):
            command = declared.declare(*declared.names, name, **declared.settings)(command)
        return command

    return decorate


def build(arguments: type[A], given: Mapping[str, Any]) -> A:
    """Return an `arguments` object filled with what click parsed."""
    hints = get_type_hints(arguments, include_extras=True)
    made = {
        f.name: given[f.name] if _declaration(hints[f.name]) else build(hints[f.name], given)
        for f in fields(arguments)  # type: ignore[arg-type]  # a dataclass, which `type[A]` cannot say
    }
    return arguments(**made)


def _declared(arguments: Any) -> Iterator[tuple[str, _Declaration]]:
    hints = get_type_hints(arguments, include_extras=True)
    for field in fields(arguments):
        declared = _declaration(hints[field.name])
        if declared is None:
            yield from _declared(hints[field.name])
        else:
            yield field.name, declared


def _declaration(hint: Any) -> _Declaration | None:
    if get_origin(hint) is not Annotated:
        return None
    return next((part for part in get_args(hint) if isinstance(part, _Declaration)), None)
