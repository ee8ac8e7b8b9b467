"""Fixtures of this folder."""

from conftest_publish import browser, course, vendored_files  # noqa: F401
