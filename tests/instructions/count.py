#!/usr/bin/env python3
"""Counts the instructions of the main kernels with valgrind's callgrind, on one thread with AVX2 kernels (valgrind does not
support AVX-512). Counts do not depend on the load of the machine, so tests/python/test_instruction_counts.py compares them
with counts.json and allows 3%.

    python3 tests/instructions/count.py            compare build/release with counts.json
    python3 tests/instructions/count.py --accept   store the counts of build/release in counts.json
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("counts.json")
ALLOWED_GROWTH = 3  # percent
ACCEPT = "python3 tests/instructions/count.py --accept"


class CountError(Exception):
    """The instructions could not be counted."""


def count(program):
    """Returns the program's output and {case: instructions}."""
    if shutil.which("valgrind") is None:
        raise CountError("valgrind is not installed")
    if not Path(program).exists():
        raise CountError(f"{program} does not exist; build the release preset")
    with tempfile.TemporaryDirectory(prefix="qing-instructions-") as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--toggle-collect=qing_measured",
             "--dump-after=qing_measured", program],
            env={**os.environ, "QING_ISA": "avx2", "QING_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise CountError(f"valgrind {program} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        isa, compiler, *names = done.stdout.splitlines()
        totals = []
        # callgrind numbers the parts it dumps from 1.
        for number in range(1, len(names) + 1):
            text = Path(f"{folder}/out.{number}").read_text()
            totals.append(int(re.search(r"^(?:totals|summary): (\d+)$", text, re.MULTILINE)[1]))
    about = dict(line.split(" ", 1) for line in (isa, compiler))
    if about["isa"] != "avx2":
        raise CountError(f"the kernels that ran were {about['isa']}'s")
    return about, dict(zip(names, totals))


def complaints(recorded, counted):
    """Returns the complaints of the test, one per line."""
    found = []
    for name in counted.keys() - recorded.keys():
        found.append(f"{name}: not in counts.json")
    for name in recorded.keys() - counted.keys():
        found.append(f"{name}: in counts.json, but no longer measured")
    for name in recorded.keys() & counted.keys():
        growth = 100 * (counted[name] - recorded[name]) / recorded[name]
        if growth > ALLOWED_GROWTH:
            found.append(f"{name}: {counted[name]:,} instructions, {growth:.1f}% more than {recorded[name]:,}")
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", help="rewrite counts.json")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="build folder")
    options = parser.parse_args()
    try:
        about, counted = count(options.build / "kernel_work")
    except CountError as error:
        sys.exit(f"count.py: error: {error}")
    if options.accept:
        RECORD.write_text(json.dumps({"compiler": about["compiler"], "instructions": counted}, indent=1) + "\n")
        print(f"{len(counted)} counts written to {RECORD.relative_to(ROOT)}; commit it with the reason for the change")
        return
    recorded = json.loads(RECORD.read_text())["instructions"]
    for name, number in counted.items():
        before = recorded.get(name)
        print(f"{name:32} {number:12,}  {f'{100 * (number / before - 1):+.1f}%' if before else 'new'}")
    found = complaints(recorded, counted)
    if found:
        sys.exit("\n".join([*found, f"to accept: {ACCEPT}"]))


if __name__ == "__main__":
    main()
