"""The libraries and the command compile with CMAKE_UNITY_BUILD, as examples/quickstart.sh does: names in anonymous namespaces of
two files must not clash."""

import json
import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

from conftest import ROOT

# One batch for each target, so that no two of its files clash.
OPTIONS = ["-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0", "-DQING_PRECOMPILE_HEADERS=OFF",
           "-DQING_BUILD_TESTS=OFF", "-DQING_BUILD_BENCHMARKS=OFF", "-DQING_BUILD_EXAMPLES=OFF"]  # fmt: skip


def complaints(entry):
    """What the compiler says when it only checks the file of a compile command."""
    words = shlex.split(entry["command"])
    command = words[next(i for i, word in enumerate(words) if word.endswith(("c++", "g++"))) :]  # without a launcher
    run = subprocess.run([*command, "-O0", "-fsyntax-only"], cwd=entry["directory"], capture_output=True, text=True)
    return run.stderr if run.returncode else ""


def test_all_files_of_a_target_compile_as_one(tmp_path):
    subprocess.run(["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", *OPTIONS], check=True,
                   capture_output=True, timeout=120)  # fmt: skip
    entries = json.loads((tmp_path / "compile_commands.json").read_text())
    united = [entry for entry in entries if "/unity_" in entry["file"]]
    targets = sorted(entry["file"].split(".dir/")[0].rsplit("/", 1)[1] for entry in united)
    assert targets == ["qing_autograd", "qing_command", "qing_nn", "qing_optim", "qing_serve", "qing_tensor"]
    files = sum(1 for folder in ("tensor", "autograd", "nn", "optim", "serve") for _ in (ROOT / folder).rglob("*.cpp"))
    assert len(entries) - len(united) < files / 5, "few files are compiled alone"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert "".join(pool.map(complaints, united)) == ""
