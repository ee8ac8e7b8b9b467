"""What is not attempted yet: names that are missing, and stubs that still wait for their code."""

from __future__ import annotations

import ast
import builtins
import dis
import functools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psma.probe.expressions import Namespace, names_in

_TRIVIAL_STEPS = {
    "RESUME",
    "NOP",
    "CACHE",
    "MAKE_CELL",
    "COPY_FREE_VARS",
    "LOAD_CONST",
    "RETURN_CONST",
    "RETURN_VALUE",
}
_LOADS = {"LOAD_GLOBAL", "LOAD_NAME"}


@dataclass(frozen=True)
class Open:
    """A name that is not there yet: missing, a stub, or needed by ``user`` and a stub."""

    name: str
    missing: bool = False
    user: str = ""


def first_open(expression: str, namespace: Namespace) -> Open | None:
    """The first name in the expression that is missing, still a stub, or leans on a stub."""
    for name in names_in(expression):
        if name not in namespace and not hasattr(builtins, name):
            return Open(name, missing=True)
        stub = _stub_below(name, namespace.get(name), namespace, set())
        if stub:
            return Open(stub, user="" if stub.split(".")[0] == name else name)
    return None


def unfinished(expression: str, namespace: Namespace) -> str | None:
    """The first function that the expression uses in which a lone ``...`` still stands beside other code."""
    for name in names_in(expression):
        for function in _functions_below(namespace.get(name), namespace, set()):
            body = _body_of(function)
            if body and any(_is_dots(node) for top in body for node in ast.walk(top)):
                return function.__qualname__
    return None


def _stub_below(name: str, value: Any, namespace: Namespace, seen: set[int]) -> str | None:
    """The name of the first stub from ``value`` downwards, through functions and classes of the notebook."""
    value = _unwrapped(value)
    if id(value) in seen:
        return None
    seen.add(id(value))
    if _is_placeholder(value):
        return name
    if isinstance(value, types.FunctionType):
        return name if _is_stub_function(value) else _stub_in_names(value, namespace, seen)
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ == namespace.get("__name__") and not issubclass(kind, BaseException):
        return _stub_in_class(kind, namespace, seen)
    return None


def _stub_in_names(function: types.FunctionType, namespace: Namespace, seen: set[int]) -> str | None:
    if function.__globals__ is not namespace:
        return None
    for name in _globals_of(function.__code__):
        stub = _stub_below(name, namespace[name], namespace, seen) if name in namespace else None
        if stub:
            return stub
    return None


def _stub_in_class(kind: type, namespace: Namespace, seen: set[int]) -> str | None:
    """A class with nothing in it, or the first of its methods that is a stub or leans on one."""
    methods = list(_methods_of(kind))
    own = [key for key in vars(kind) if not key.startswith("__")] or vars(kind).get("__annotations__")
    if not methods and not own and kind.__bases__ == (object,):
        return kind.__name__
    for method in methods:
        if _is_stub_function(method, passing=False):
            return f"{kind.__name__}.{method.__name__}"
        stub = _stub_in_names(method, namespace, seen)
        if stub:
            return stub
    for base in kind.__bases__:
        stub = _stub_below(base.__name__, base, namespace, seen)
        if stub:
            return stub
    return None


def _functions_below(value: Any, namespace: Namespace, seen: set[int]) -> Iterator[types.FunctionType]:
    """Every function of the notebook that ``value`` is, holds as a method, or uses by name."""
    value = _unwrapped(value)
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        if value.__globals__ is namespace:
            yield value
            for name in _globals_of(value.__code__):
                yield from _functions_below(namespace.get(name), namespace, seen)
        return
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ == namespace.get("__name__"):
        for method in _methods_of(kind):
            yield from _functions_below(method, namespace, seen)


def _unwrapped(value: Any) -> Any:
    """What stands behind a bound method, a partial or a decorator that kept ``__wrapped__``."""
    for _ in range(20):
        if isinstance(value, types.MethodType):
            value = value.__func__
        elif isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, (types.FunctionType, functools._lru_cache_wrapper)) and hasattr(
            value, "__wrapped__"
        ):
            value = value.__wrapped__
        else:
            break
    return value


def _methods_of(kind: type) -> Iterator[types.FunctionType]:
    for value in list(vars(kind).values()):
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        method = _unwrapped(inner)
        if isinstance(method, types.FunctionType) and method.__module__ == kind.__module__:
            yield method


def _is_placeholder(value: Any) -> bool:
    """``...`` itself, or a small container that still holds one."""
    if value is ...:
        return True
    if type(value) in (list, tuple) and len(value) < 100:
        return any(item is ... for item in value)
    return type(value) is dict and len(value) < 100 and any(item is ... for item in value.values())


def _is_stub_function(function: types.FunctionType, *, passing: bool = True) -> bool:
    """Is the body nothing but ``...`` (or ``pass``, unless ``passing`` is off) under a docstring?

    The bytecode decides that nothing is done; the source, if any, tells ``...`` from ``return None``.
    """
    for step in dis.get_instructions(function):
        if step.opname not in _TRIVIAL_STEPS:
            return False
        if (
            step.opname in ("LOAD_CONST", "RETURN_CONST")
            and step.argval is not None
            and step.argval is not ...
        ):
            return False
    body = _body_of(function)
    if body is None:
        return True
    return all(
        _is_docstring(node) or _is_dots(node) or (passing and isinstance(node, ast.Pass)) for node in body
    )


def _body_of(function: types.FunctionType) -> list[ast.stmt] | None:
    """The statements of a function from its source, or None where there is no source to be had."""
    import inspect
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function.__code__)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    node = tree.body[0] if tree.body else None
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function.__code__.co_name:
        return node.body
    return None


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_dots(node: ast.AST) -> bool:
    """A ``...`` that stands as a statement, or is what a function returns or a name is set to."""
    if isinstance(node, (ast.Expr, ast.Return, ast.Assign, ast.AnnAssign)):
        return isinstance(node.value, ast.Constant) and node.value.value is ...
    return False


def _globals_of(code: types.CodeType) -> list[str]:
    """The global names that a function and the functions inside it read; attributes are not among them."""
    names = [str(step.argval) for step in dis.get_instructions(code) if step.opname in _LOADS]
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names += _globals_of(inner)
    return list(dict.fromkeys(names))
