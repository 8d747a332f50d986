"""The families of one file as they are gathered: which names are taken, and which series are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simplepipe import _names
from simplepipe._exposition import Family, Labels, Sample
from simplepipe._terminal import quoted


@dataclass(frozen=True)
class Origin:
    """A family as the file's author knows it."""

    place: str
    """For a message, such as `index 2`."""
    name: str
    """As written: without what its type or unit adds."""
    type: str
    """As written."""


class Clash(ValueError):
    """Two metrics want one name, or one series."""


@dataclass
class Gathered:
    """A family, and where each of its series is."""

    origin: Origin
    family: Family
    series: dict[Labels, str] = field(default_factory=dict)

    def describe(self, help: str) -> None:
        """Gives it its help text, where it has none. Raises Clash where it has another."""
        if not self.family.help:
            self.family.help = help
        elif help and help != self.family.help:
            raise Clash(
                f"differs from an earlier one of {quoted(self.origin.name)}, {quoted(self.family.help)}; "
                "write the same, or leave it out"
            )

    def insert(self, place: str, labels: Labels, samples: Sequence[Sample]) -> None:
        """Adds a series. Raises Clash where these labels are there already."""
        other = self.series.setdefault(tuple(sorted(labels)), place)
        if other is not place:
            raise Clash(
                f"{quoted(self.origin.name)} is at {other} already, with the same labels; write it once, or with "
                "other labels"
            )
        self.family.samples.extend(samples)


class Collection:
    """Gathers series into families, in the order in which these are first seen."""

    def __init__(self) -> None:
        self._gathered: list[Gathered] = []
        self._owners: dict[str, Gathered] = {}

    def family(self, origin: Origin, name: str, metric_type: str) -> Gathered:
        """Whether it is there already or not. Raises Clash where another takes one of its names."""
        names = _names.names_taken(name, metric_type)
        for taken in names:
            owner = self._owners.get(taken)
            if owner is not None:
                same = (owner.origin.name, owner.origin.type, owner.family.name) == (origin.name, origin.type, name)
                if same:
                    return owner
                raise Clash(_clash(origin, taken, owner.origin))
        gathered = Gathered(origin, Family(name, metric_type))
        self._gathered.append(gathered)
        self._owners.update(dict.fromkeys(names, gathered))
        return gathered

    def families(self) -> tuple[Family, ...]:
        """Those that have a series."""
        return tuple(each.family for each in self._gathered if each.family.samples)


def _clash(own: Origin, taken: str, other: Origin) -> str:
    if own.name == other.name and own.type != other.type:
        return f"{quoted(own.name)} is a {own.type} here and a {other.type} at {other.place}; give one another name"
    return (
        f"{quoted(own.name)} of type {own.type} and {quoted(other.name)} of type {other.type} at {other.place} both "
        f"become {quoted(taken)}; give one another name"
    )
