"""Python programs of a test's own, for what ends a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent


def start(folder: Path, code: str, gateway: str, **environment: str) -> subprocess.Popen[str]:
    """Starts it, with the gateway in its environment; what it prints is read line by line."""
    file = folder / "script.py"
    file.write_text(dedent(code))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", str(file)],
        # Unbuffered, a line and its end are written apart, and another thread's line may come between.
        env={**os.environ, "PUSHGATEWAY_URL": f"http://{gateway}", "PYTHONUNBUFFERED": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, code: str, gateway: str, **environment: str) -> tuple[int, str]:
    """Its exit code (negative: the signal that ended it), and all that it printed."""
    process = start(folder, code, gateway, **environment)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def sleeps(process: subprocess.Popen[str]) -> bool:
    """Whether its main thread is in time.sleep, by the kernel's word on where it waits."""
    waits_in = Path(f"/proc/{process.pid}/wchan").read_text()
    return "nanosleep" in waits_in or waits_in.startswith("poll_schedule_timeout")


def wait_for_line(process: subprocess.Popen[str], line: str) -> None:
    """Until it prints that."""
    assert process.stdout is not None
    seen = []
    for each in process.stdout:
        seen.append(each)
        if each.strip() == line:
            return
    raise AssertionError(f"{line} never came: {seen}")
