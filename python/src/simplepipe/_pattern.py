"""The regular expressions that the operator takes for reserved names, as Prometheus reads them: of a whole text.

Python's own take other time for some of them, up to for ever, and other meaning to some. The operator lets only these
through: letters, digits, `_ : -`, `.`, classes in brackets, groups, `|`, `* + ?` and their lazy forms, and `^`.
"""

from __future__ import annotations

import string
from collections.abc import Callable

_PLAIN = frozenset(string.ascii_letters + string.digits + "_:-")
_NAMED = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "digit": string.digits,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "word": string.ascii_letters + string.digits + "_",
    "punct": string.punctuation,
    "xdigit": string.hexdigits,
}
_SIGNS = ("*", "+", "?")
_END = 0
_Part = Callable[[int], int]


class PatternError(ValueError):
    """It is none of these."""


class Pattern:
    """Matches in time that grows with the text's length alone: all places where it may have come to are followed at
    once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        # Each state has what a character must be to go on, or None to go on without one; and where it goes then.
        self._states: list[tuple[Callable[[str], bool] | None, tuple[int, ...]]] = [(None, ())]
        self._begins: set[int] = set()
        try:
            whole = self._alternatives()
            if self._at != len(text):
                raise PatternError
            self._start = whole(_END)
        except RecursionError:
            raise PatternError from None

    def matches(self, text: str) -> bool:
        """Whether it is all of the text."""
        here = self._follow([self._start], at_start=True)
        for character in text:
            passed: list[int] = []
            for state in here:
                takes, then = self._states[state]
                if takes is not None and takes(character):
                    passed += then
            here = self._follow(passed, at_start=False)
        return _END in here

    def _follow(self, states: list[int], at_start: bool) -> set[int]:
        """And all that is reached without a character."""
        seen: set[int] = set()
        left = list(states)
        while left:
            state = left.pop()
            if state in seen or (state in self._begins and not at_start):
                continue
            seen.add(state)
            takes, then = self._states[state]
            if takes is None:
                left += then
        return seen

    def _add(self, takes: Callable[[str], bool] | None, *then: int) -> int:
        self._states.append((takes, then))
        return len(self._states) - 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    # Each reads a part of the pattern. States are made from the end, by what is returned: it gets where to go on, and
    # returns where the part begins.

    def _alternatives(self) -> _Part:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return lambda then: self._add(None, *(part(then) for part in parts))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated())

        def make(then: int) -> int:
            for part in reversed(parts):
                then = part(then)
            return then

        return make

    def _repeated(self) -> _Part:
        part = self._part()
        sign = self._peek()
        if sign not in _SIGNS:
            return part
        self._at += 1
        if self._peek() == "?":  # As little as possible is all the same of a whole text.
            self._at += 1
        if self._peek() in _SIGNS:
            raise PatternError

        def make(then: int) -> int:
            if sign == "?":
                return self._add(None, part(then), then)
            again = self._add(None)
            first = part(again)
            self._states[again] = (None, (first, then))
            return first if sign == "+" else again

        return make

    def _part(self) -> _Part:
        character = self._peek()
        self._at += 1
        if character == "(":
            return self._group()
        if character == "[":
            return self._one_of(self._class())
        if character == ".":
            return self._one_of(lambda _: True)
        if character == "^":
            return self._beginning
        if character in _PLAIN:
            return self._one_of(lambda given: given == character)
        raise PatternError

    def _group(self) -> _Part:
        if self._text.startswith("?:", self._at):
            self._at += 2
        inner = self._alternatives()
        if self._peek() != ")":
            raise PatternError
        self._at += 1
        return inner

    def _one_of(self, takes: Callable[[str], bool]) -> _Part:
        return lambda then: self._add(takes, then)

    def _beginning(self, then: int) -> int:
        state = self._add(None, then)
        self._begins.add(state)
        return state

    def _class(self) -> Callable[[str], bool]:
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if self._text.startswith("[:", self._at) and ":]" in self._text[self._at :]:
                name = self._text[self._at + 2 : self._text.index(":]", self._at)]
                if name not in _NAMED:
                    raise PatternError
                ranges += [(each, each) for each in _NAMED[name]]
                self._at += len(name) + 4
                continue
            low = high = self._class_character()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._class_character()
            if high < low:
                raise PatternError
            ranges.append((low, high))
        self._at += 1
        return lambda given: any(low <= given <= high for low, high in ranges) != negated

    def _class_character(self) -> str:
        character = self._peek()
        if not character or character == "\\":
            raise PatternError
        self._at += 1
        return character
