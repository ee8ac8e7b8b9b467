"""Expressions of a check and the names in them."""

from __future__ import annotations

import ast
import builtins
import types
from typing import Any

from psma.errors import PsmaError

Namespace = dict[str, Any]

# What Python itself brings; IPython's additions (display, its own input) are left out on purpose.
PYTHONS_OWN = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, (type, types.BuiltinFunctionType)) and not name.startswith("_")
)


def parse(expression: str) -> ast.Expression:
    """The syntax tree of an author's expression; PsmaError if it is none, or only the name of a builtin."""
    if not isinstance(expression, str):
        raise PsmaError(f"An expression of a check must be text in quotes, not {type(expression).__name__}.")
    try:
        tree = ast.parse(expression.strip(), "<check>", mode="eval")
    except (SyntaxError, ValueError) as error:
        raise PsmaError(
            f"The check's expression {expression!r} is not a Python expression: {error}."
        ) from None
    if isinstance(tree.body, ast.Name) and tree.body.id in PYTHONS_OWN:
        raise PsmaError(
            f"A check cannot ask for the name {expression}: it is Python's own. Choose another name."
        )
    return tree


def names_in(expression: str) -> list[str]:
    """The names that an expression takes from outside, in reading order, without Python's own."""
    nodes = list(ast.walk(parse(expression)))
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    loaded = sorted((n.lineno, n.col_offset, n.id) for n in nodes if isinstance(n, ast.Name))
    free = dict.fromkeys(name for _, _, name in loaded if name not in bound and name not in PYTHONS_OWN)
    return list(free)
