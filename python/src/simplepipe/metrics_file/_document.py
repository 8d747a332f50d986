"""From a JSON value to the families of a metrics file, or to all that is wrong with it."""

from __future__ import annotations

from simplepipe._exposition import Family
from simplepipe._gateway import group
from simplepipe.metrics_file._collection import Clash, Collection, Origin
from simplepipe.metrics_file._json import Json, Object, kind
from simplepipe.metrics_file._metric import Metric, label, read_metric, text
from simplepipe.metrics_file._problems import Problems

# They all stand in the path of a push.
MAX_GROUPING_LABELS = 64
FIELDS = ("job", "grouping_labels", "metrics", "$schema")


class Document:
    """The state of one pass over the file."""

    def __init__(self, problems: Problems) -> None:
        self.job: str | None = None
        self.grouping_labels: dict[str, str] = {}
        self._collection = Collection()
        self._problems = problems
        self._labelled: list[tuple[int, str]] = []
        """Which metric has which label: those of the group may come after the metrics."""

    @property
    def families(self) -> tuple[Family, ...]:
        """In the order of the file."""
        return self._collection.families()

    def read(self, json: Json) -> None:
        """The short form or the long one."""
        if isinstance(json, Object):
            self._long_form(json)
        elif isinstance(json, list):
            self._metrics(json)
        else:
            self._problems.add(f"holds {kind(json)}, not metrics; write an array of metrics")
        if not self._problems.count and not self.families:
            self._problems.add("holds no metric; there is nothing to push")

    def _metrics(self, metrics: list[Json]) -> None:
        for index, json in enumerate(metrics):

            def note(field: str | None, message: str, index: int = index) -> None:
                self._problems.add(message, index=index, field=field)

            metric = read_metric(json, note)
            if metric is not None:
                self._labelled.extend((index, name) for name, _ in metric.labels)
                self._collect(index, metric)

    def _collect(self, index: int, metric: Metric) -> None:
        place = f"index {index}"
        exposed_type = "gauge" if metric.type == "info" else metric.type
        try:
            gathered = self._collection.family(Origin(place, metric.written, metric.type), metric.name, exposed_type)
        except Clash as clash:
            self._problems.add(str(clash), index=index, field="name")
            return
        try:
            gathered.describe(metric.description)
        except Clash as clash:
            self._problems.add(str(clash), index=index, field="description")
        if metric.samples is None:
            return
        try:
            gathered.insert(place, metric.labels, metric.samples)
        except Clash as clash:
            self._problems.add(str(clash), index=index, field="labels" if metric.labels else "name")

    def _long_form(self, json: Object) -> None:
        seen: set[str] = set()
        for name, value in json.fields:
            if name in seen:
                self._problems.add("is there twice; write it once", field=name)
                continue
            seen.add(name)
            try:
                self._set(name, value)
            except ValueError as error:
                self._problems.add(str(error), field=name)
        if "metrics" not in seen:
            self._problems.add("is missing; write an array of metrics", field="metrics")
        for index, name in self._labelled:
            if name in self.grouping_labels:
                self._problems.add(
                    "is a label of the group, which the gateway writes over it; leave it out, or give it another name",
                    index=index,
                    field=f"labels.{name}",
                )

    def _set(self, name: str, value: Json) -> None:
        if name == "job":
            self.job = _group_value(text(value))
        elif name == "grouping_labels":
            if not isinstance(value, Object):
                raise ValueError(f"is {kind(value)}; write an object of strings")
            if len(value.fields) > MAX_GROUPING_LABELS:
                raise ValueError(f"has {len(value.fields)} labels; a push group has at most {MAX_GROUPING_LABELS}")
            self._group_labels(value)
        elif name == "metrics":
            if not isinstance(value, list):
                raise ValueError(f"is {kind(value)}; write an array of metrics")
            self._metrics(value)
        elif name == "$schema":
            text(value)
        else:
            raise ValueError(
                f"is not a field of a metrics file; those are {', '.join(FIELDS)}, and a metric stands in brackets: "
                '[{"name": ...}]'
            )

    def _group_labels(self, given: Object) -> None:
        for name, value in given.fields:
            try:
                if name in self.grouping_labels:
                    raise ValueError("is there twice; write it once")
                if name == "job":
                    raise ValueError('is a field of its own; write "job" beside grouping_labels')
                self.grouping_labels[name] = _group_value(label(name, value))
            except ValueError as error:
                self._problems.add(str(error), field=f"grouping_labels.{name}")


def _group_value(value: str) -> str:
    problem = group.value_problem(value)
    if problem:
        raise ValueError(problem)
    return value
