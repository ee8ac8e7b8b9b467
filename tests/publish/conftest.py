"""Fixtures of this folder."""

from conftest_publish import browser, course  # noqa: F401
