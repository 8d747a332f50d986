"""Numbers as Prometheus reads them."""

from __future__ import annotations

import math
import re
import sys

from simplepipe._terminal import quoted

_NUMBER = re.compile(r"[+-]?(?:inf|infinity|nan|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)", re.IGNORECASE)

WHITESPACE = " \t\n\f\r"
"""What stands between words. Python alone would take more for it than anybody else."""

COUNT_LIMIT = 2**53
"""From here on a float skips whole numbers, so that one more may be none."""


def numeric(text: str) -> float:
    """Raises ValueError with what is wrong, and what would be right. Python alone would take `1_000` and blanks."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        if math.isinf(number) and any(each.isdigit() for each in text):
            raise ValueError(
                f"{quoted(text)} is beyond {sys.float_info.max}, the largest number; write a smaller one, or +Inf"
            )
        return number
    if _NUMBER.fullmatch(text.strip(WHITESPACE)):
        raise ValueError(f"{quoted(text)} has blanks around the number; write {quoted(text.strip(WHITESPACE))}")
    raise ValueError(
        f'{quoted(text)} is not a number; write decimal digits such as "6", "6.5" or "1e3", without units or separators'
    )


def whole(number: float) -> float:
    """A number of observations. Raises ValueError. (Infinity is refused: it is no whole number.)"""
    if 0 <= number < COUNT_LIMIT and number.is_integer():
        return number
    raise ValueError(f"is {number}, not a number of observations; write a whole number from 0 and below {COUNT_LIMIT}")
