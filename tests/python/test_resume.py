"""A training with many kills ends with the bits of an uninterrupted one, and leaves no incomplete checkpoint."""

import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import BUILD

TOOL = BUILD / "resumable_training"
KILLS, STEPS = 50, 400


def run(*words):
    return subprocess.run([TOOL, *map(str, words)], capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder():
    # In memory if there is such a folder, because syncing a disk is slow and the leftovers of a killed process are the same.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        path = Path(name) / "checkpoints"
        path.mkdir()
        yield path


def test_fifty_kills_end_with_the_same_bits(folder):
    whole = run("train", "", STEPS)
    assert whole.returncode == 0, whole.stderr
    expected = whole.stdout.splitlines()[-2:]
    assert len(expected[0]) > 1000 and expected[0] != expected[1]

    rng = random.Random(20261124)
    reached, midway = 0, 0
    for _ in range(KILLS):
        process = subprocess.Popen([TOOL, "train", folder, str(STEPS)], stdout=subprocess.PIPE, text=True)
        # Some steps, and then a part of the duration of a step with its checkpoint, so that most kills occur during writing.
        lines = [process.stdout.readline() for _ in range(rng.randrange(6))]
        time.sleep(rng.uniform(0, 0.003))
        assert process.poll() is None
        process.kill()
        lines += process.stdout.read().splitlines()
        process.wait()
        midway += any(path.name.startswith(".staged-") for path in folder.iterdir())
        steps = [int(line.split()[1]) for line in lines]
        if steps:
            assert reached <= steps[0] <= reached + 1, "it did not go on from the last checkpoint"
            reached = steps[-1]
        checked = run("check", folder)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        if reached > 1:
            assert not checked.stdout.startswith("0 of"), "the last checkpoint went before the next was there"
    assert midway >= 10, f"only {midway} kills fell into the writing of a checkpoint"
    assert 50 < reached < STEPS

    finished = run("train", folder, STEPS)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-2:] == expected
    assert f"resumed from {reached - 1}" in finished.stdout or f"resumed from {reached}" in finished.stdout
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".staged-", ".removed-"))]

    again = run("train", folder, STEPS)
    assert again.stdout.splitlines() == [f"resumed from {STEPS}", *expected]
