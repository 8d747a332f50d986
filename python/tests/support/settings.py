"""What python/test gives to the tests."""

from __future__ import annotations

import os

import pytest


def of_python_test(variable: str) -> str:
    """The variable's value; a test that wants it fails with what would be right."""
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"{variable} is not set; run python/test, or set it as that does", pytrace=False)
    return value
