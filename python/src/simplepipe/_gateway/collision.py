"""What a refused push collides with. The gateway's answer names the metric. Which group has it too, its API tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simplepipe import _names
from simplepipe._gateway.group import Group
from simplepipe._terminal import one_line, quoted

NAMED = 3
"""How many groups are named."""

SHOWN_TYPE = 20
"""How much of a type is shown, in characters: it is the gateway's word."""

Labels = Mapping[str, str]

_NAMES = re.compile(r'collected .*?named "([^"]*)" collides with previously collected .*?named "([^"]*)"')
_METRIC = re.compile(r'collected metric "([^"]*)" \{')
_STRING = r'("(?:[^"\\]|\\.)*")'
# The text form of a protobuf, whose blanks are of no fixed number.
_LABEL = re.compile(rf"\s*label:\{{\s*name:\s*{_STRING}\s*value:\s*{_STRING}\s*\}}")


@dataclass(frozen=True)
class Clash:
    """What the gateway says of it."""

    kind: str
    """`series`, `type` or `names`."""
    names: tuple[str, ...]
    """Of the metrics that it is about."""
    labels: tuple[tuple[str, str], ...] = ()
    """Of the series, sorted."""

    @classmethod
    def read(cls, answer: str) -> Clash | None:
        """From the gateway's answer, where it is about one."""
        names = _NAMES.search(answer)
        if names is not None:
            return cls("names", (names[1], names[2]))
        metric = _METRIC.search(answer)
        if metric is None:
            return None
        try:
            labels, rest = _labels(answer[metric.end() :])
        except ValueError:
            return None
        if "was collected before with the same name and label values" in rest:
            return cls("series", (metric[1],), labels)
        if "} is not a " in rest:
            return cls("type", (metric[1],))
        return None

    def told(self, groups: Iterable[Any], group: Group) -> str | None:
        """Which metric and which groups, of those that the gateway's API tells; None where it is none of them."""
        ours = {"job": group.job, **dict(group.labels)}
        holders = [each for each in groups if isinstance(each.get("labels"), dict) and self._held(each)]
        # The gateway has them in no order.
        holders.sort(key=lambda each: _words(each["labels"]))
        if self.kind == "series":
            holders = [each for each in holders if self._has_series(each)]
            if self.names[0] in _names.GATEWAY_NAMES:
                return _stuck(holders) if holders else None
        others = [each for each in holders if each["labels"] != ours]
        renamed = self.names[0]
        if self.kind == "names" and others:
            # The first of the two may be what is held, and the second what is pushed.
            renamed, held = self.names if self.names[1] in self._held(others[0]) else self.names[::-1]
            others = [each for each in others if held in self._held(each)]
        if not others:
            return None
        told, metric = _groups(others), quoted(renamed)
        what = {
            "series": f"metric {metric} has the same labels in {told} as in this push, which is of group {group}",
            "type": f"metric {metric} has another type in {told} than in this push, which is of group {group}",
        }.get(self.kind)
        if what is None:
            what = (
                f"metric {metric} of this push, which is of group {group}, and metric {quoted(held)} in {told} take "
                "the same name"
            )
        remedy = f"Rename metric {metric}"
        if self.kind == "type":
            held = one_line(str(others[0][renamed].get("type", "")), SHOWN_TYPE).lower()
            line = quoted(f"# TYPE {renamed} {held}")
            # Somebody else's group is no remedy for a line that is forgotten.
            remedy = (
                f"Give it the type {held} too (in text by the line {line}; without such a line a metric is untyped), "
                "or rename it"
            )
        return (
            f"{what}. The gateway refused this push only. {remedy}, or delete {told} if that is yours, then push again"
        )

    def _held(self, group: Mapping[str, Any]) -> list[str]:
        """Which of the names it holds."""
        return [name for name in self.names if isinstance(group.get(name), dict)]

    def _has_series(self, group: Mapping[str, Any]) -> bool:
        metrics = group[self.names[0]].get("metrics") or []
        return any(tuple(sorted((each.get("labels") or {}).items())) == self.labels for each in metrics)


def _labels(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The labels at the beginning, and what follows them. Raises ValueError."""
    labels = []
    while found := _LABEL.match(text):
        # They are JSON strings but for control characters, which a label has none of that anybody wants.
        labels.append((json.loads(found[1]), json.loads(found[2])))
        text = text[found.end() :]
    return tuple(sorted(labels)), text


def _stuck(groups: Sequence[Mapping[str, Any]]) -> str:
    return (
        f"{_groups(groups)} are one but for an empty label, and it takes no push while it has both. Delete the one "
        "with the empty label (docs/conditions.md says how), then push again"
    )


def _groups(groups: Sequence[Mapping[str, Any]]) -> str:
    named = " and ".join(_words(each["labels"]) for each in groups[:NAMED])
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    return f"{'group' if len(groups) == 1 else 'groups'} {named}{more}"


def _words(labels: Labels) -> str:
    """As a group has them, `job` first."""
    names = sorted(labels, key=lambda name: (name != "job", name))
    return ", ".join(f"{name} {quoted(str(labels[name]))}" for name in names)
