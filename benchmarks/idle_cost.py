#!/usr/bin/env python3
"""What `qing serve` costs without requests: this build beside another one, each on the model that comes with it.

    python3 benchmarks/idle_cost.py --other FOLDER/build/release/qing [--binary build/release/qing] [--rounds 11] [--json]

Each round starts both binaries, one after the other, and the order alternates. The first start of each is not counted,
because it reads the files from the disk. The figures are medians of the rounds. A ratio is the median of the rounds'
quotients, which a disturbance of the machine changes least.

Start is the time from the start of the process to the first 200 of /health/ready. Memory is what is resident (VmRSS) after
--settle seconds, and the part of it that is no file's page (RssAnon). CPU is the time that the waiting server computes.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from serving.processes import Server, free_port  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
FIGURES = {"start_ms": "ms from start to ready", "resident_mb": "MB resident", "anonymous_mb": "MB of it anonymous",
           "cpu_ms_per_second": "ms of CPU time a second"}  # fmt: skip


def anonymous_mb(process):
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024 / 1e6


def computed_ms(process):
    """CPU time of all threads, to the nanosecond."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{process}/task").glob("*/schedstat")) / 1e6


def measure(binary, models, settle):
    """The figures of one start, with an empty state."""
    with tempfile.TemporaryDirectory() as state:
        port = free_port()
        command = [binary, "serve", "--port", port, "--log-requests", "false"]
        command += ["--models", models] if models else []
        with Server(command, port, {"XDG_STATE_HOME": state}) as server:
            before = computed_ms(server.process.pid)
            time.sleep(settle)
            if server.process.poll() is not None:
                raise SystemExit(f"{binary} ended by itself with {server.process.returncode}")
            return {"start_ms": 1e3 * server.seconds_to_ready, "resident_mb": server.memory_mb(),
                    "anonymous_mb": anonymous_mb(server.process.pid),
                    "cpu_ms_per_second": (computed_ms(server.process.pid) - before) / settle}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/qing")
    parser.add_argument("--other", type=Path, required=True, help="the binary to compare with, of an older commit for example")
    parser.add_argument("--models", type=Path, help="models' folder for both, where they come with different models")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--settle", type=float, default=3, help="seconds from ready to the look at memory")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    binaries = {"this": options.binary, "other": options.other}
    for binary in binaries.values():
        measure(binary, options.models, 0.1)
    found = {name: [] for name in binaries}
    for turn in range(options.rounds):
        for name in list(binaries)[:: 1 if turn % 2 == 0 else -1]:
            found[name].append(measure(binaries[name], options.models, options.settle))
    figures = {"rounds": options.rounds}
    for figure in FIGURES:
        this, other = ([one[figure] for one in found[name]] for name in ("this", "other"))
        figures[figure] = {"this": statistics.median(this), "other": statistics.median(other),
                           "least": [min(this), min(other)], "most": [max(this), max(other)],
                           "ratio": statistics.median(a / b for a, b in zip(this, other))}  # fmt: skip
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{options.rounds} rounds; median (least to most)")
    for figure, name in FIGURES.items():
        row = figures[figure]
        columns = [f"{side} {row[side]:8.2f} ({row['least'][i]:.2f} to {row['most'][i]:.2f})" for i, side in enumerate(binaries)]
        print(f"{name:<24} {'   '.join(columns)}   ratio {row['ratio']:.3f}")


if __name__ == "__main__":
    main()
