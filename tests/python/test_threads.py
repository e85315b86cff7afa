"""The number of threads of a command, by its environment, OpenMP's variables and the usable CPUs, and the CPUs of a server's
threads when OpenMP binds its main thread."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QING = os.environ.get("QING_BINARY", str(ROOT / "build/release/qing"))
CPUS = sorted(os.sched_getaffinity(0))
OPENMP = ("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "OMP_THREAD_LIMIT", "GOMP_CPU_AFFINITY", "QING_THREADS")


def environment(**variables):
    return {**{name: value for name, value in os.environ.items() if name not in OPENMP}, **variables}


def threads(cpus=None, **variables):
    command = [QING, "info", "--json"]
    if cpus is not None:
        command = ["taskset", "-c", ",".join(map(str, cpus)), *command]
    result = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["threads"]


needs_two = pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")


@needs_two
@pytest.mark.parametrize("variables", [
    {"OMP_PROC_BIND": "true"}, {"OMP_PROC_BIND": "close"}, {"OMP_PROC_BIND": "spread"}, {"OMP_PLACES": "threads"},
    {"OMP_PLACES": "cores", "OMP_PROC_BIND": "close"}, {"GOMP_CPU_AFFINITY": ",".join(map(str, CPUS))},
], ids=str)  # fmt: skip
def test_a_bound_main_thread_does_not_count(variables):
    everywhere = threads()
    if variables.get("OMP_PLACES") == "cores" and everywhere > 1:
        assert threads(**variables) > 1
    else:
        assert threads(**variables) == everywhere


@needs_two
def test_places_and_affinity_bound_the_number():
    first = str(CPUS[0])
    assert threads(OMP_PLACES="{" + first + "}") == 1
    assert threads(GOMP_CPU_AFFINITY=first) == 1
    assert threads(cpus=CPUS[:1]) == 1
    assert threads(cpus=CPUS[:1], OMP_PROC_BIND="true") == 1


@pytest.mark.parametrize("variables, expected", [
    ({"QING_THREADS": "3"}, 3),
    ({"OMP_NUM_THREADS": "5"}, 5),
    ({"OMP_NUM_THREADS": "1"}, 1),
    ({"OMP_NUM_THREADS": " 4 , 2"}, 4),
    ({"OMP_NUM_THREADS": "3,2,1"}, 3),
    ({"QING_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
    ({"QING_THREADS": "", "OMP_NUM_THREADS": "5"}, 5),
    ({"OMP_NUM_THREADS": "100000000"}, 1024),
    ({"OMP_NUM_THREADS": "5", "OMP_THREAD_LIMIT": "2"}, 2),
    ({"OMP_THREAD_LIMIT": "1"}, 1),
    ({"OMP_NUM_THREADS": "5", "OMP_PROC_BIND": "true"}, 5),
], ids=str)  # fmt: skip
def test_the_order_of_the_variables(variables, expected):
    assert threads(**variables) == expected


@pytest.mark.parametrize("value", ["", "abc", "0", "-2", "2x", "1.5"])
def test_a_malformed_number_of_openmp_is_ignored(value):
    assert threads(OMP_NUM_THREADS=value) == threads()


@pytest.mark.parametrize("value", ["abc", "0", "-2", "2x", "1025"])
def test_a_malformed_number_of_qing_is_an_error(value):
    result = subprocess.run([QING, "info"], env=environment(QING_THREADS=value), capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert f"QING_THREADS: '{value}' is not a number from 1 to 1024" in result.stderr


@needs_two
def test_the_threads_of_a_bound_server_run_on_all_cpus(serve, monkeypatch):
    for name in OPENMP:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    server = serve()
    masks = []
    for status in Path(f"/proc/{server.process.pid}/task").glob("*/status"):
        shown = re.search(r"^Cpus_allowed:\s*(\S+)$", status.read_text(), re.MULTILINE)[1]
        masks.append(int(shown.replace(",", ""), 16))
    everywhere = sum(1 << cpu for cpu in CPUS)
    # The I/O thread, and one worker for each CPU.
    assert masks.count(everywhere) >= 1 + threads(OMP_PROC_BIND="true"), [f"{mask:x}" for mask in masks]
