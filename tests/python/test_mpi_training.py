"""`mpirun -n N qing train`: the same bits for any number of ranks and threads, over both MPI libraries, and over kills."""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BUILD, synthetic_rows, within, write_tsv

# Open MPI refuses to run as root, or with more ranks than cores, without these.
OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}
LIBRARIES = ["openmpi", "mpich"]
KILLS = int(os.environ.get("QING_RANK_KILLS", "3"))
RANK_LINE = re.compile(r"^rank (\d+) of (\d+): process (\d+) on \S+, (\d+) threads? \((.*)\)$", re.MULTILINE)


@pytest.fixture(scope="session")
def launcher(qing):
    """launcher(library, ranks) is the beginning of a command line. Skips where the library is not installed."""

    def words(library, ranks):
        mpirun = shutil.which(f"mpirun.{library}")
        if mpirun is None:
            pytest.skip(f"mpirun.{library} is not installed")
        plugin = Path(qing.binary).resolve().parent / f"libqing_mpi_{library}.so"
        if not plugin.exists():
            pytest.skip(f"{plugin} was not built")
        return [mpirun, "-n", str(ranks)]

    return words


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpi")
    return {
        "train": write_tsv(folder / "train.tsv", synthetic_rows(200, seed=7)),
        "dev": write_tsv(folder / "dev.tsv", synthetic_rows(40, seed=8)),
    }


def training(files, out, *more):
    words = ["train", "--data", files["train"], "--dev", files["dev"], "--layers", 1, "--width", 32, "--vocab", 300]
    words += ["--ngrams", 2, "--word-dropout", 0.1, "--ema", 0.9, "--batch", 32, "--lr", 5e-3, "--out", out, *more]
    return [str(word) for word in words]


def environment(**more):
    return {**os.environ, **OPEN_MPI, "OMP_WAIT_POLICY": "passive", **more}


@pytest.fixture
def mpirun(qing, launcher):
    """mpirun(library, ranks, arguments) runs the command on ranks and returns the result."""

    def run(library, ranks, arguments, check=True, **more):
        words = [*launcher(library, ranks), qing.binary, *arguments]
        result = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment(**more))
        if check:
            assert result.returncode == 0, f"{words}\n{result.stderr}"
        return result

    return run


@pytest.fixture
def start(qing, launcher):
    """start(library, ranks, arguments) starts the command on ranks in the background."""
    running = []

    def run(library, ranks, arguments):
        words = [*launcher(library, ranks), qing.binary, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(words, env=environment(), **pipes))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def bits(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def wait_for_step(out, step, process):
    path = out / "run/metrics.jsonl"
    while f'"step": {step},' not in (path.read_text() if path.exists() else ""):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def expected(qing, files, tmp_path_factory):
    """The bits of the model that one process trains with eight chunks."""
    out = tmp_path_factory.mktemp("alone") / "m"
    qing(*training(files, out, "--chunks", 8, "--threads", 1))
    return bits(out)


# --- the same bits ---


def test_one_process_has_the_bits_for_any_number_of_threads(qing, files, expected, tmp_path):
    qing(*training(files, tmp_path / "m", "--chunks", 8, "--threads", 2))
    assert bits(tmp_path / "m") == expected
    qing(*training(files, tmp_path / "whole"))
    assert bits(tmp_path / "whole") != expected, "the sum of chunks is another"


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_same_bits_for_any_number_of_ranks_and_threads(mpirun, files, expected, tmp_path, library):
    found = {}
    for ranks in (1, 2, 3, 4):
        for threads in (1, 2):
            out = tmp_path / f"{ranks}-{threads}"
            result = mpirun(library, ranks, training(files, out, "--threads", threads))
            found[ranks, threads] = bits(out)
            lines = RANK_LINE.findall(result.stderr)
            assert [int(line[0]) for line in lines] == (list(range(ranks)) if ranks > 1 else [])
            assert all(int(line[3]) == threads for line in lines)
            assert all(("Open MPI" in line[4]) == (library == "openmpi") for line in lines)
    assert set(found.values()) == {expected}, found


def test_the_output_is_that_of_one_process(qing, mpirun, files, tmp_path):
    alone = qing(*training(files, tmp_path / "a", "--chunks", 8, "--json"))
    ranks = mpirun("openmpi", 3, training(files, tmp_path / "b", "--json"))
    one, three = json.loads(alone.stdout), json.loads(ranks.stdout)
    assert one.keys() == three.keys()
    assert [one[key] for key in ("loss", "steps", "epochs")] == [three[key] for key in ("loss", "steps", "epochs")]

    def names(folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))

    assert names(tmp_path / "a") == names(tmp_path / "b")
    without_ranks = RANK_LINE.sub("", ranks.stderr).replace("/b", "/a")
    assert [line for line in without_ranks.splitlines() if line.startswith(("training on", "done after"))] == [
        line for line in alone.stderr.splitlines() if line.startswith(("training on", "done after"))
    ]
    assert '"chunks' not in ranks.stdout and "chunks = 8" in (tmp_path / "b/run/config.toml").read_text()


def test_pretraining_has_the_same_bits_too(qing, mpirun, files, tmp_path):
    def pretraining(out, *more):
        words = ["pretrain", "--data", files["train"], "--layers", 1, "--width", 32, "--vocab", 300, "--out", out, *more]
        return [str(word) for word in words]

    qing(*pretraining(tmp_path / "a", "--chunks", 8))
    mpirun("openmpi", 2, pretraining(tmp_path / "b"))
    mpirun("mpich", 3, pretraining(tmp_path / "c"))
    assert len({bits(tmp_path / name) for name in "abc"}) == 1


def test_fast_reduce_depends_on_the_ranks(mpirun, files, expected, tmp_path):
    found = {expected}
    for ranks in (2, 3):
        mpirun("openmpi", ranks, training(files, tmp_path / str(ranks), "--fast-reduce", 1))
        found.add(bits(tmp_path / str(ranks)))
    assert len(found) == 3


def test_gradients_that_travel_after_the_backward_pass_give_the_same_bits(mpirun, files, expected, tmp_path):
    mpirun("openmpi", 2, training(files, tmp_path / "m", "--overlap-reduce", 0))
    assert bits(tmp_path / "m") == expected


@pytest.mark.parametrize("library", LIBRARIES)
def test_divided_optimizer_states_have_the_same_bits(mpirun, files, expected, tmp_path, library):
    for ranks in (2, 3):
        out = tmp_path / str(ranks)
        mpirun(library, ranks, training(files, out, "--shard-optimizer", 1, "--threads", 1))
        assert bits(out) == expected


def test_divided_optimizer_states_resume_on_any_number_of_ranks(qing, start, mpirun, files, expected, tmp_path):
    out = tmp_path / "m"
    process = start("openmpi", 3, training(files, out, "--shard-optimizer", 1, "--checkpoint-every", 1, "--threads", 1))
    wait_for_step(out, 2, process)
    process.kill()
    process.communicate(timeout=20)
    assert within(20, lambda: not ranks_of_folder(out))
    copies = {}
    for name, ranks, more in (("more", 4, ["--shard-optimizer", 1]), ("whole", 2, ["--shard-optimizer", 0]), ("alone", 0, [])):
        copies[name] = tmp_path / name
        shutil.copytree(out, copies[name])
        words = ["train", "--resume", "--out", str(copies[name]), *map(str, more)]
        result = mpirun("openmpi", ranks, words) if ranks else qing(*words)
        assert "resuming after step" in result.stderr
    assert {name: bits(copy) for name, copy in copies.items()} == dict.fromkeys(copies, expected)


def test_a_stream_of_texts_has_the_same_bits_on_any_number_of_ranks(qing, mpirun, files, tmp_path):
    words = ["train", "--data", files["train"], "--dev", files["dev"], "--layers", 1, "--width", 32, "--vocab", 300,
             "--batch", 32, "--lr", 5e-3, "--epochs", 2]  # fmt: skip
    cache = ["--token-cache", tmp_path / "cache"]

    def streamed(name, *more):
        return [str(word) for word in [*words, *cache, "--out", tmp_path / name, *more]]

    qing(*streamed("a", "--chunks", 8))
    mpirun("openmpi", 3, streamed("b", "--shard-optimizer", 1))
    shutil.rmtree(tmp_path / "cache")
    mpirun("mpich", 2, streamed("c"))  # rank 0 makes the cache while the other waits
    assert len({bits(tmp_path / name) for name in "abc"}) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 2


# --- ranks that end ---


def ranks_of_folder(out):
    """The pids of the processes whose command line names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = path.read_bytes().split(b"\0")
            if str(out).encode() in words and words[0].endswith(b"qing"):
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_killed_rank_ends_the_run_and_it_resumes_on_other_ranks(
    start, mpirun, files, expected, tmp_path, library, victim
):
    out = tmp_path / "m"
    process = start(library, 3, training(files, out, "--checkpoint-every", 1, "--threads", 1))
    pids = {}
    lines = []
    while len(pids) < 3:
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
        for rank, _, pid, _, _ in RANK_LINE.findall(lines[-1]):
            pids[int(rank)] = int(pid)
    wait_for_step(out, 2, process)
    os.kill(pids[victim], signal.SIGKILL)
    killed = time.monotonic()
    while any(map(is_alive, pids.values())) and time.monotonic() < killed + 5:
        time.sleep(0.01)
    assert not [rank for rank, pid in pids.items() if is_alive(pid)], "a rank goes on without another"
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    named = re.findall(r"qing: error: rank (\d+) \(process (\d+) on \S+\) has ended", errors)
    if library == "openmpi":
        assert named == [(str(victim), str(pids[victim]))], errors
    else:  # MPICH's launcher kills the other ranks at once, so the line may name one of them
        assert len(named) == 1 and int(named[0][1]) == pids[int(named[0][0])], errors

    other, ranks = ("mpich", 2) if library == "openmpi" else ("openmpi", 4)
    result = mpirun(other, ranks, ["train", "--resume", "--out", str(out)])
    assert "resuming after step" in result.stderr
    assert bits(out) == expected
    assert not [path for path in out.rglob("*") if path.name.startswith((".staged-", ".removed-"))]


def ranks_of(launcher_pid):
    """Returns the pids of the ranks below a launcher, without their witnesses."""
    parents, names = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = stat.read_text()
            pid = int(stat.parent.name)
            names[pid] = text[text.index("(") + 1 : text.rindex(")")]
            parents[pid] = int(text.rpartition(")")[2].split()[1])

    def is_below(pid):
        while pid in parents and pid != launcher_pid:
            pid = parents[pid]
        return pid == launcher_pid

    return [pid for pid, name in names.items() if name == "qing" and is_below(pid)]


def test_kills_at_random_moments_leave_a_training_that_resumes(start, mpirun, files, expected, tmp_path):
    out = tmp_path / "m"
    rng = random.Random(20261130)
    for _ in range(KILLS):
        library, ranks = rng.choice(LIBRARIES), rng.randint(2, 4)
        words = ["--resume"] if (out / "run/config.toml").exists() else []
        process = start(library, ranks, training(files, out, "--checkpoint-every", 1, "--threads", 1, *words))
        delay = time.monotonic() + rng.uniform(0.1, 1.5)
        found = []
        while process.poll() is None and (len(found) < ranks or time.monotonic() < delay):
            found = ranks_of(process.pid)
            time.sleep(0.01)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(found), signal.SIGKILL)
            killed = time.monotonic()
            while any(map(is_alive, found)) and time.monotonic() < killed + 5:
                time.sleep(0.01)
            assert not [pid for pid in found if is_alive(pid)], "a rank goes on without another"
        process.communicate(timeout=20)
    mpirun("openmpi", 2, training(files, out, "--checkpoint-every", 1, "--resume"))
    assert bits(out) == expected
    assert not [path for path in out.rglob("*") if path.name.startswith((".staged-", ".removed-"))]


def test_a_resumed_training_may_go_on_alone(start, qing, files, expected, tmp_path):
    out = tmp_path / "m"
    process = start("openmpi", 2, training(files, out, "--checkpoint-every", 1, "--threads", 1))
    wait_for_step(out, 2, process)
    pid = int(RANK_LINE.findall(process.stderr.readline())[0][2])
    os.kill(pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "interrupted after step" in errors
    qing("train", "--resume", "--out", out)
    assert bits(out) == expected


def test_an_error_of_rank_0_ends_all(mpirun, files, tmp_path):
    out = tmp_path / "m"
    (out / "run").mkdir(parents=True)
    (out / "run/mine.txt").write_text("not of qing")
    result = mpirun("openmpi", 2, training(files, out), check=False)
    assert result.returncode == 2
    assert "qing: rank 0: error: " in result.stderr and "is not a folder of qing train" in result.stderr
    assert [path.name for path in (out / "run").iterdir()] == ["mine.txt"]


def test_wrong_usage_names_the_rank(mpirun, files, tmp_path):
    result = mpirun("openmpi", 2, training(files, tmp_path / "m", "--heads", 5), check=False)
    assert result.returncode == 2
    assert re.search(r"^qing: rank [01]: error: --width 32 is not a multiple of --heads 5", result.stderr, re.MULTILINE)
    assert "has ended" not in result.stderr


def test_more_ranks_than_chunks_are_refused(mpirun, files, tmp_path):
    result = mpirun("openmpi", 3, training(files, tmp_path / "m", "--chunks", 2), check=False)
    assert result.returncode == 1
    assert "there are 3 ranks but 2 chunks of a batch" in result.stderr


def test_a_training_without_chunks_is_not_resumed_on_ranks(qing, mpirun, files, tmp_path):
    out = tmp_path / "m"
    qing(*training(files, out))
    result = mpirun("openmpi", 2, ["train", "--resume", "--out", str(out)], check=False)
    assert result.returncode == 2
    assert "--chunks 0 computes batches as a whole" in result.stderr


def test_a_slow_rank_is_named(start, files, tmp_path):
    out = tmp_path / "m"
    process = start("openmpi", 2, training(files, out, "--threads", 1, "--epochs", 40, "--max-steps", 42))
    pids = [int(RANK_LINE.findall(process.stderr.readline())[0][2]) for _ in range(2)]
    wait_for_step(out, 2, process)
    with contextlib.suppress(ProcessLookupError):
        while process.poll() is None:
            os.kill(pids[1], signal.SIGSTOP)
            time.sleep(0.012)
            os.kill(pids[1], signal.SIGCONT)
            time.sleep(0.004)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert re.search(r"rank 1 is slow: over the last 20 steps it computed \d+\.\d times as long", errors), errors
    assert "rank 0 is slow" not in errors


# --- without MPI ---


def test_without_the_library_no_rank_trains_alone(qing, files, tmp_path):
    binary = tmp_path / "bin/qing"
    binary.parent.mkdir()
    shutil.copy2(Path(qing.binary).resolve(), binary)
    signs = {
        "libqing_mpi_openmpi.so": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
        "libqing_mpi_mpich.so": {"PMI_RANK": "1", "PMI_SIZE": "2"},
        "srun was not told to connect them": {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"},
    }
    for expected_text, variables in signs.items():
        result = subprocess.run(
            [binary, *training(files, tmp_path / "m")], capture_output=True, text=True, env=environment(**variables)
        )
        assert result.returncode == 1
        assert result.stderr.startswith("qing: rank 1: error: ") and expected_text in result.stderr, result.stderr
        assert not (tmp_path / "m").exists()
    # Without a launcher it needs no library.
    subprocess.run([binary, "--version"], check=True, capture_output=True)


def test_the_libraries_are_found_where_they_are_installed(launcher, files, expected, tmp_path):
    install = ["cmake", "--install", BUILD, "--component", "command", "--prefix", tmp_path / "installed"]
    subprocess.run(list(map(str, install)), check=True, capture_output=True, timeout=60)
    for library in LIBRARIES:
        out = tmp_path / library
        words = [*launcher(library, 2), tmp_path / "installed/bin/qing", *training(files, out)]
        result = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment())
        assert result.returncode == 0, result.stderr
        assert bits(out) == expected


def test_ranks_hold_out_the_same_texts(qing, mpirun, files, tmp_path):
    """Without --dev every rank holds the same texts out, and rank 0 evaluates on them for all."""
    options = ["train", "--data", str(files["train"]), "--dev-share", "0.2", "--patience", "1", "--epochs", "3", "--layers", "1",
               "--width", "32", "--vocab", "300", "--batch", "32"]  # fmt: skip
    qing(*options, "--chunks", 8, "--out", tmp_path / "one")
    result = mpirun("openmpi", 2, [*options, "--out", str(tmp_path / "two")])
    assert result.stderr.count("held out by a hash of the text") == 1
    assert bits(tmp_path / "one") == bits(tmp_path / "two")
