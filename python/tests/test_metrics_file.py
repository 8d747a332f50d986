"""The metrics file beyond the vectors, which have its rules."""

from __future__ import annotations

import json
import random
import struct
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simplepipe import MetricsFileError, metrics_file
from simplepipe._exposition import number


def refusal(content: bytes | str) -> str:
    with pytest.raises(MetricsFileError) as error:
        metrics_file.parse(content)
    return str(error.value)


def test_problems_say_where_what_and_what_would_be_right() -> None:
    assert refusal('[{"name": "run-time", "value": "six", "metric_type": "guage", "labels": {"a-b": "c"}}]') == (
        "has 4 problems:\n"
        '  index 0, field "name": "run-time" is not a metric name; write letters, digits, _ and : only, not starting '
        'with a digit, such as "run_time"\n'
        '  index 0, field "value": "six" is not a number; write decimal digits such as "6", "6.5" or "1e3", without '
        "units or separators\n"
        '  index 0, field "metric_type": "guage" is not a type; write gauge, counter, summary, histogram or info\n'
        '  index 0, field "labels.a-b": is not a label name; write letters, digits and _ only, not starting with a '
        "digit"
    )
    assert refusal("a 1\nb 2 1700000000\n") == (
        'has 1 problem:\n  line 2: has a timestamp, "1700000000", which a Pushgateway takes none of; leave it out'
    )


def test_of_many_problems_the_first_are_kept_and_all_are_counted() -> None:
    message = refusal(json.dumps([0] * 25))
    assert message.startswith("has 25 problems:\n  index 0: is a number, not a metric")
    assert message.endswith("\n  and 5 more")
    assert "index 19" in message
    assert "index 20" not in message


def test_long_text_is_cut_in_messages() -> None:
    assert f'"-{"a" * 79}"... is not a metric name' in refusal(f'[{{"name": "-{"a" * 90}"}}]')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff[]", "is not UTF-8 text (byte 0)"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'[{"name": "\\ud800"}]', "half of a surrogate pair"),
        (b" " * (metrics_file.MAX_BYTES + 1), "is too large; a metrics file has at most 8 MiB"),
        (" " * (metrics_file.MAX_BYTES + 1), "is too large; a metrics file has at most 8 MiB"),
        ('a{b="caf\udce9"} 1', "is not UTF-8 text (byte 8)"),
        (b'[{"name": "\x1b[2J\xe2\x80\xae"}]', "is not JSON"),
        (b'[{"name": "\\u001b[2J\\u202e"}]', '"\\u{1b}[2J\\u{202e}" is not a metric name'),
    ],
)
def test_hostile_content_is_refused_in_words_that_are_safe_to_print(content: bytes | str, message: str) -> None:
    text = refusal(content)
    assert message in text
    assert all(each.isprintable() or each == "\n" for each in text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("run_time=6", 'line 1: "run_time=6" has a = between name and value; write a blank there: run_time 6'),
        ("run_time : 6", 'line 1: "run_time : 6" has a : between name and value; write a blank there: run_time 6'),
        ("[{'name': 'a'}]", "; JSON wants double quotes"),
        ("[{\"name\": 'a'}]", "; JSON wants double quotes"),
        (
            '[{"name": "build", "value": "v1", "metric_type": "info"}]',
            'without units or separators; text of an info stands in "labels": {"NAME": "TEXT"}',
        ),
    ],
)
def test_what_other_formats_write_is_refused_with_what_this_one_does(content: str, message: str) -> None:
    assert refusal(content).endswith(message)


def test_what_is_in_memory_is_checked_alike() -> None:
    metrics = [{"name": "a", "value": 1.5, "metric_type": "gauge", "labels": {"fold": "1"}}]
    histogram = {"name": "b", "metric_type": "histogram", "buckets": {0.1: 1, 1: 2}, "sum": 1, "count": 2}
    file = metrics_file.parse_metrics([*metrics, histogram])
    assert file.exposition().startswith('# TYPE a gauge\na{fold="1"} 1.5\n# TYPE b histogram\nb_bucket{le="0.1"} 1\n')
    with pytest.raises(MetricsFileError, match='index 0, field "value": is null'):
        metrics_file.parse_metrics([{"name": "a", "value": None, "metric_type": "gauge"}])
    with pytest.raises(MetricsFileError, match="holds a number, not metrics"):
        metrics_file.parse_metrics(6)
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(MetricsFileError, match="is nested too deeply"):
        metrics_file.parse_metrics(endless)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"labels": {"file": "caf\udce9"}}, "half of a surrogate pair"),
        ({"value": 10**400}, "is too large"),
        ({"value": True}, 'field "value": is a boolean'),
    ],
)
def test_what_no_file_could_hold_is_refused_in_memory_too(value: dict[str, object], message: str) -> None:
    with pytest.raises(MetricsFileError, match=message):
        metrics_file.parse_metrics([{"name": "a", "value": 1, "metric_type": "gauge", **value}])


def test_numbers_in_memory_are_what_they_would_be_in_a_file() -> None:
    file = metrics_file.parse_metrics(
        [
            {"name": "a", "value": Fraction(1, 4), "metric_type": "gauge"},
            {"name": "b", "value": float("-inf"), "metric_type": "gauge"},
            {"name": "c", "value": 1e16, "metric_type": "info"},
            {"name": "d", "metric_type": "histogram", "buckets": {1e-7: 1, float("inf"): 2}, "sum": 1},
        ]
    )
    assert [line for line in file.exposition().splitlines() if not line.startswith("#")] == [
        "a 0.25",
        "b -Inf",
        'c_info{value="10000000000000000"} 1',
        'd_bucket{le="1e-7"} 1',
        'd_bucket{le="+Inf"} 2',
        "d_sum 1",
        "d_count 2",
    ]


def test_a_file_that_is_not_read_yet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text("a 1")
    with file.open() as opened, pytest.raises(TypeError, match="not TextIOWrapper; read the file first"):
        metrics_file.parse(opened)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not PosixPath; read the file first"):
        metrics_file.parse(file)  # type: ignore[arg-type]
    assert metrics_file.parse(file.read_bytes()).exposition() == "# TYPE a untyped\na 1\n"


def test_prometheus_own_parser_reads_what_comes_out() -> None:
    text = metrics_file.parse(
        '[{"name": "a", "description": "one\\\\two\\nthree", "value": 1, "metric_type": "gauge",'
        ' "labels": {"path": "C:\\\\x \\"y\\"\\n"}}]'
    ).exposition()
    (family,) = text_string_to_metric_families(text)
    assert family.documentation == "one\\two\nthree"
    assert family.samples[0].labels == {"path": 'C:\\x "y"\n'}


def test_a_number_reads_back_as_the_same_number() -> None:
    randoms = random.Random(6)
    for _ in range(20_000):
        (value,) = struct.unpack("d", randoms.randbytes(8))
        text = number(value)
        assert float(text) == value or value != value
        assert len(text) <= 26, text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6.0, "6"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (100.5, "100.5"),
        (1e16, "10000000000000000"),
        (1e17, "1e17"),
        (-1.5e300, "-1.5e300"),
        (1.25e-5, "0.0000125"),
        (1e-6, "1e-6"),
        (5e-324, "5e-324"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_are_short_and_as_the_rust_program_writes_them(value: float, text: str) -> None:
    assert number(value) == text
