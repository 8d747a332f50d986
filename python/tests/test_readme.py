"""Every example of the README, from its own text; those in Python of the project's README too."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support import script
from support.gateway import Pushgateway

README = Path(__file__).parents[1] / "README.md"
PROJECT = README.parents[1] / "README.md"
EXAMPLES = [
    example
    for readme in (README, PROJECT)
    for example in re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
]
IMPORT = "import simplepipe\n"
ARRIVED = (
    ('accuracy{instance="",job="train"}', "0.99"),
    ('model_loss{instance="",job="train",rank="0",split="train"}', "0.21"),
    ('rows_read_total{instance="",job="train",table="users"}', "500"),
    ('load_seconds_count{instance="",job="train"}', "1"),
    ('requests_total{instance="",job="serve"}', "1"),
    None,
    ('run_time{instance="",job="simple"}', "6"),
    ('model_accuracy{instance="",job="train"}', "0.93"),
)
"""A series that each brings, in their order; None for the one that prints."""


def test_each_example_has_its_outcome() -> None:
    assert len(EXAMPLES) == len(ARRIVED)


@pytest.mark.parametrize(("example", "arrived"), list(zip(EXAMPLES, ARRIVED, strict=True)))
def test_it_runs_and_its_metrics_arrive(
    example: str, arrived: tuple[str, str] | None, tmp_path: Path, gateway: Pushgateway
) -> None:
    # The README's host is a tenant's.
    code = IMPORT + example.replace("pushgateway:9091", gateway.address)
    status, output = script.run(tmp_path, code, gateway.address)
    assert status == 0, output
    if arrived is None:
        assert output == "# TYPE run_time gauge\nrun_time 6\n\n"
    else:
        series, value = arrived
        assert output == ""
        assert gateway.series()[series] == value


def test_the_files_that_it_names_are_there() -> None:
    for link in re.findall(r"\]\((\.\.[^)]+)\)", README.read_text()):
        assert os.path.exists(README.parent / link), link
