"""tests/vectors: what the Rust program makes of each input, this module does too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simplepipe import MetricsFileError, metrics_file

FOLDER = Path(__file__).parents[2] / "tests" / "vectors"
EXPECTED = (".errors.json", ".group.json", ".exposition")
INPUTS = sorted(path for path in FOLDER.iterdir() if not path.name.endswith(EXPECTED))


def test_the_vectors_are_there() -> None:
    assert len(INPUTS) > 50


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_it_comes_out_as_it_says(path: Path) -> None:
    errors = path.with_suffix(".errors.json")
    if errors.exists():
        with pytest.raises(MetricsFileError) as refusal:
            metrics_file.parse(path.read_bytes())
        assert refusal.value.count == len(refusal.value.problems)
        places = {_sorted(_place(problem)) for problem in refusal.value.problems}
        assert places == {_sorted(place) for place in json.loads(errors.read_text())}
        return
    file = metrics_file.parse(path.read_bytes())
    assert file.exposition() == path.with_suffix(".exposition").read_text()
    group = path.with_suffix(".group.json")
    expected = json.loads(group.read_text()) if group.exists() else {"job": None, "grouping_labels": {}}
    assert {"job": file.job, "grouping_labels": file.grouping_labels} == expected


def _place(problem: metrics_file.Problem) -> dict[str, Any]:
    place = {"index": problem.index, "field": problem.field, "line": problem.line}
    return {name: value for name, value in place.items() if value is not None}


def _sorted(place: dict[str, Any]) -> str:
    return json.dumps(place, sort_keys=True)
