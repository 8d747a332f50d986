"""Times the same push by three programs in turns, and prints a table. tests/bench/push starts it."""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

JSON = """[
  {"name": "run_time", "description": "Run time", "value": "6", "metric_type": "gauge"},
  {"name": "rows", "description": "Rows read", "value": 1200, "metric_type": "gauge"}
]"""
TEXT = "# HELP run_time Run time\n# TYPE run_time gauge\nrun_time 6\n# HELP rows Rows read\n# TYPE rows gauge\nrows 1200\n"
PYTHON = """
import sys
from prometheus_client import CollectorRegistry, Gauge, push_to_gateway
registry = CollectorRegistry()
Gauge("run_time", "Run time", registry=registry).set(6)
Gauge("rows", "Rows read", registry=registry).set(1200)
push_to_gateway(sys.argv[1], job="python", registry=registry)
"""
MEMORY_RUNS = 20
MIB = 1024 * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    commands = programs(options)
    times, peaks = measure(commands, options)
    print(table(times, peaks, options))


def programs(options):
    """What is compared, by its name in the table."""
    files = {"metrics.json": JSON, "metrics.txt": TEXT, "push.py": PYTHON}
    for name, content in files.items():
        (options.folder / name).write_text(content)
    path = {name: str(options.folder / name) for name in files}
    url = f"http://{options.gateway}/metrics/job/curl"
    return {
        "simplepipe push": [str(options.program), "push", path["metrics.json"], "job", "--gateway", options.gateway],
        "curl": ["curl", "-sS", "--fail-with-body", "-X", "PUT", "--data-binary", f"@{path['metrics.txt']}", url],
        "prometheus_client": [sys.executable, path["push.py"], options.gateway],
    }


def measure(commands, options):
    """Wall times in seconds, and the most resident memory in bytes."""
    times = {name: [] for name in commands}
    names = list(commands)
    # The first round only warms up. Each round begins with another one.
    for number in range(options.runs + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            taken = run(commands[name])
            if number > 0:
                times[name].append(taken)
    peaks = {name: max(peak(command, options) for _ in range(MEMORY_RUNS)) for name, command in commands.items()}
    return times, peaks


def run(command):
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet)
    _, status = os.waitpid(process, 0)
    taken = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{command} failed")
    return taken


def peak(command, options):
    """By GNU time, which is small itself: a process counts what it was forked from."""
    report = options.folder / "peak"
    subprocess.run(
        ["/usr/bin/time", "--output", report, "--format", "%M", *command], check=True, stdout=subprocess.DEVNULL
    )
    return int(report.read_text()) * 1024


def table(times, peaks, options):
    median = {name: statistics.median(each) for name, each in times.items()}
    ours = "simplepipe push"
    lines = [
        f"{options.runs} pushes each, in turns, {os.cpu_count()} cores: medians, and the middle half",
        "",
        f"{'':20}{'ms':>8}{'middle half':>16}{'beside ours':>13}{'peak MiB':>10}",
    ]
    for name, each in times.items():
        low, _, high = statistics.quantiles(each, n=4)
        half = f"{low * 1000:.2f}-{high * 1000:.2f}"
        beside = f"{median[name] / median[ours]:.2f}"
        lines.append(f"{name:20}{median[name] * 1000:8.2f}{half:>16}{beside:>13}{peaks[name] / MIB:10.1f}")
    size = options.program.stat().st_size
    goals = [
        ("time over curl's", median[ours] / median["curl"], "at most", 1.2),
        ("prometheus_client's time over ours", median["prometheus_client"] / median[ours], "at least", 20),
        ("peak memory, MiB", peaks[ours] / MIB, "at most", 8),
        ("image, MB", size / 1e6, "at most", 15),
    ]
    lines += ["", f"{'goal':38}{'wanted':>14}{'measured':>10}"]
    for what, value, bound, wanted in goals:
        met = value <= wanted if bound == "at most" else value >= wanted
        lines.append(f"{what:38}{f'{bound} {wanted:g}':>14}{value:10.2f}  {'met' if met else 'MISSED'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
