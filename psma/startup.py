"""Keeps the start of a process short."""

from __future__ import annotations

import sys


def skip_slow_imports() -> None:
    """Leave out a grammar of internet addresses that takes 1.6 s to build and that no notebook needs.

    nbformat imports jsonschema, which imports `rfc3987_syntax` if it is there, to check formats that
    notebooks do not use. To be called before the first import of nbformat; does nothing afterwards.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: "not installed"
