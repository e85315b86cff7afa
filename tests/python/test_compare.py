"""benchmarks/compare: its options, the summary line for scripts, and the charts. No test here depends on a time."""

import json
import math
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as tree
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
from comparison import charts, contest, machine, report, sections  # noqa: E402
from comparison.contestants import ContestError  # noqa: E402

needs_avx2 = pytest.mark.skipif(not machine.instruction_sets(), reason="peers are built for AVX2 and AVX-512")


def compare(*arguments, build=BUILD):
    command = [sys.executable, ROOT / "benchmarks/compare", "--no-build", "--build", build, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)


# --- options ---


@needs_avx2
@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--threads", "0"], "--threads"),
        (["--threads", "4096"], "CPUs may be used"),
        (["--isa", "sse9"], "invalid choice"),
        (["--layout", "tt"], "invalid choice"),
        (["--shapes", "64x64"], "--shapes"),
        (["--shapes", "64x0x64"], "--shapes"),
        (["--rounds", "-1"], "at least 1"),
        (["--peers", "mkl"], "unknown mkl; there are blis"),
        (["--only", "everything"], "unknown everything; there are gemm"),
        (["--quick", "--write"], "leave out --quick"),
    ],
)
def test_wrong_options_are_refused(arguments, message):
    result = compare(*arguments)
    assert result.returncode == 2 and message in result.stderr, result.stderr


@needs_avx2
def test_a_folder_without_programs_is_told(tmp_path):
    result = compare("--quick", build=tmp_path)
    assert result.returncode == 1 and "contestant_qing does not exist" in result.stderr


# --- a run ---


@needs_avx2
def test_the_last_line_has_its_form(tmp_path):
    file = tmp_path / "figures.json"
    result = compare("--quick", "--rounds", 1, "--threads", 1, "--only", "gemm", "--shapes", "36x32x36,5x64x33",
                     "--peers", "eigen", "--json", file)  # fmt: skip
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    found = re.fullmatch(r"geometric mean .*: (\d+\.\d\d), worst shape: (\d+\.\d\d)", last)
    assert found, last
    figures = json.loads(file.read_text())
    (run,) = figures["runs"]
    assert [row["shape"] for row in run["gemm"]] == [[36, 32, 36], [5, 64, 33]]
    ratios = [row["seconds"]["eigen"] / row["seconds"]["qing"] for row in run["gemm"]]
    assert found[1] == f"{math.sqrt(ratios[0] * ratios[1]):.2f}" and found[2] == f"{min(ratios):.2f}"
    assert set(figures["libraries"]) == {"qing", "eigen"} and run["roofs"]["peak"] > 0


@needs_avx2
def test_peers_that_were_not_built_are_named(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    for name in ("qing", "eigen_avx2", "eigen_avx512"):
        (tmp_path / f"benchmarks/contestant_{name}").symlink_to(BUILD / f"benchmarks/contestant_{name}")
    result = compare("--quick", "--rounds", 1, "--threads", 1, "--only", "gemm", "--shapes", "8x8x8", build=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "openblas: skipped because it was not built (Debian: libopenblas-dev)" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("geometric mean ")


@needs_avx2
def test_no_process_outlives_a_killed_script():
    command = [sys.executable, ROOT / "benchmarks/compare", "--no-build", "--build", BUILD, "--threads", "1",
               "--only", "gemm", "--peers", "eigen"]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, start_new_session=True) as script:

        def contestants():
            listed = subprocess.run(["ps", "-o", "stat=,comm=", "-g", str(script.pid)], capture_output=True, text=True)
            return [line for line in listed.stdout.splitlines() if "contestant" in line and not line.startswith("Z")]

        wait_until(lambda: len(contestants()) == 2)
        script.kill()
        wait_until(lambda: not contestants())


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class Fake:
    """A contestant whose result is a number."""

    def __init__(self, name, value, milliseconds=1):
        self.name, self.value, self.milliseconds, self.turns = name, value, milliseconds, 0

    def prepare(self, job):
        return True

    def ask(self, command, path):
        Path(path).write_text(str(self.value))

    def number(self, command, path):
        return abs(float(Path(path).read_text()) - self.value)

    def seconds(self, warm, runs):
        self.turns += 1
        return self.milliseconds / 1000


class Slowing(Fake):
    def seconds(self, warm, runs):
        return super().seconds(warm, runs) * self.turns


def rounds(count, best=False):
    return SimpleNamespace(rounds=count, batch=0.01, best=best)


def test_a_wrong_result_ends_the_contest():
    with pytest.raises(ContestError, match="bad and good differ by 0.5"):
        contest.contests([Fake("good", 1.0), Fake("bad", 1.5)], [("gemm_nn", 1, 1, 1)], rounds(3))
    with pytest.raises(ContestError, match="nan"):
        contest.contests([Fake("good", 1.0), Fake("bad", math.nan)], [("gemm_nn", 1, 1, 1)], rounds(3))


def test_rounds_alternate_and_medians_are_taken():
    a, b = Fake("a", 1.0, 2), Fake("b", 1.0, 4)
    jobs = [("gemm_nn", 1, 1, 1), ("gemm_nn", 2, 2, 2)]
    assert contest.contests([a, b], jobs, rounds(5)) == [{"a": 0.002, "b": 0.004}] * 2
    assert a.turns == b.turns == 14  # per job two turns to estimate the duration, then five rounds


def test_the_best_round_counts_if_asked_for():
    jobs = [("gemm_nn", 1, 1, 1)]
    assert contest.contests([Slowing("a", 1.0)], jobs, rounds(5)) == [{"a": 0.005}]  # the third to the seventh turn
    assert contest.contests([Slowing("a", 1.0)], jobs, rounds(5, best=True)) == [{"a": 0.003}]


def test_the_summary_is_of_the_best_peer():
    rows = [{"shape": (1, 1, 1), "seconds": {"qing": 1.0, "a": 2.0, "b": 0.5}},
            {"shape": (1, 1, 1), "seconds": {"qing": 1.0, "a": 2.0}}]  # fmt: skip
    assert sections.summary(rows, "of x") == "geometric mean of x: 1.00, worst shape: 0.50"
    alone = [{"shape": (1, 1, 1), "seconds": {"qing": 1.0}}]
    assert sections.summary(alone, "of x").startswith("geometric mean of x: none, there is no peer")


def test_the_shapes_are_those_promised():
    assert len(sections.SHAPES) == len(set(sections.SHAPES)) == 27
    assert (36, 32, 36) in sections.SHAPES and (2048, 2048, 2048) in sections.SHAPES


# --- charts and pages ---


@pytest.mark.parametrize(
    "svg",
    [
        charts.bars("ratios <of> & all", [("1x1x1", 0.5), ("64x64x64", 1.25)]),
        charts.bars("nothing", []),
        charts.roofline("roof", 100.0, [("memory", 20.0), ("L1", 400.0)], [(0.5, 10.0, "qing", "1x1x1"),
                                                                            (85.0, 90.0, "eigen", "a<b")]),
    ],
)  # fmt: skip
def test_charts_are_well_formed_and_inside_their_frame(svg):
    root = tree.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    for shape in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 <= float(shape.get("cx")) <= width and 0 <= float(shape.get("cy")) <= height
    for bar in list(root.iter("{http://www.w3.org/2000/svg}rect"))[1:]:
        assert float(bar.get("x")) + float(bar.get("width")) <= width


def test_published_charts_are_well_formed():
    for path in (ROOT / "docs/benchmarks").rglob("*.svg"):
        tree.parse(path)


def test_published_pages_show_the_published_figures():
    for path in (ROOT / "docs/benchmarks").rglob("results-*.json"):
        result = json.loads(path.read_text())
        text = path.with_suffix(".md").read_text(encoding="utf-8")
        for run in result["runs"]:
            for header, rows in report.tables_of(run):
                assert report.markdown(header, rows) in text, f"{path.with_suffix('.md')} is not of {path.name}"


# --- qing bench ---


def test_the_command_measures_the_machine(qing):
    figures = json.loads(qing("bench", "--json").stdout)
    assert figures["fma_peak_gflops"] > 0 and figures["copy_gbps"] > 0 and figures["threads"] >= 1
    assert all(0 < row["of_peak"] for row in figures["gemm"]) and len(figures["gemm"]) >= 5
    text = qing("bench").stdout
    for word in ("cpu", "isa", "threads", "FMA peak", "memory", "1024x1024x1024", "of the peak"):
        assert word in text
    assert qing("bench", "extra", check=False).returncode == 2
