"""What the scripts that compare training have in common."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def without_folders(argument):
    """Returns the file name of an absolute path, because stored results do not show folders."""
    return Path(argument).name if argument.startswith("/") else argument


def build(folder):
    if not (folder / "CMakeCache.txt").exists():
        subprocess.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"], check=True,
                       stdout=sys.stderr)  # fmt: skip
    targets = ["qing", "training_qing", "contestant_qing"]
    subprocess.run(["cmake", "--build", folder, "--target", *targets], check=True, stdout=sys.stderr)


def qing_train(build_folder, *arguments):
    """Runs qing train on all texts, as its peers do. RuntimeError with what it says when it fails."""
    command = [build_folder / "qing", "train", *arguments, "--dev-share", "0", "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"qing train: {done.stderr.strip()}")


def rounds(wanted, count, start, say):
    """Starts each run once a round, each round beginning with another one. Returns the results by the run's name."""
    found = {run.name: [] for run in wanted}
    for number in range(count):
        shift = number % len(wanted)
        for run in wanted[shift:] + wanted[:shift]:
            found[run.name].append(start(run))
            say(number + 1, run, found[run.name][-1])
    return found
