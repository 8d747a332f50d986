"""Text that comes from outside (files, servers, arguments), made safe to print, as the Rust program does it."""

QUOTED_LENGTH = 80
"""Longest text that `quoted` shows, in characters."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def quoted(text: str) -> str:
    """The text in double quotes, with everything that doesn't print escaped, cut after 80 characters."""
    shown = "".join(_ESCAPES.get(each) or _printable(each) for each in text[:QUOTED_LENGTH])
    return f'"{shown}"' + ("..." if len(text) > QUOTED_LENGTH else "")


def one_line(text: str, length: int) -> str:
    """The text as one line of at most `length` characters; what doesn't print is left out."""
    words = ("".join(each for each in word if each.isprintable()) for word in text.split())
    line = " ".join(word for word in words if word)
    return line if len(line) <= length else line[:length] + "..."


def _printable(character: str) -> str:
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"
