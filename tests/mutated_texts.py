"""Reads texts from standard input, each a line of JSON, and prints as one JSON array what the Python package makes of them.

Only the reader of metrics files is loaded, which needs nothing but Python itself.
"""

import json
import sys
import types
from pathlib import Path

package = types.ModuleType("simplepipe")
package.__path__ = [str(Path(__file__).resolve().parents[1] / "python" / "src" / "simplepipe")]
sys.modules["simplepipe"] = package
sys.dont_write_bytecode = True

from simplepipe import metrics_file  # noqa: E402
from simplepipe.errors import MetricsFileError  # noqa: E402


def verdict(text: str) -> dict[str, object]:
    try:
        return {"exposition": metrics_file.parse(text.encode()).exposition()}
    except MetricsFileError as error:
        return {"places": sorted({place(problem) for problem in error.problems}), "message": str(error)}


def place(problem: metrics_file.Problem) -> str:
    return "the file" if problem.line is None else f"line {problem.line}"


json.dump([verdict(json.loads(line)) for line in sys.stdin], sys.stdout)
