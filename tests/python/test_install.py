"""cmake --install, then find_package(qing) from a project of its own, which also builds the README's program."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def test_an_installed_qing_is_found_and_works(tmp_path):
    build = Path(os.environ.get("QING_BUILD", ROOT / "build/release"))
    if not (build / "CMakeCache.txt").exists():
        pytest.skip(f"{build} is no CMake build folder")
    prefix = tmp_path / "prefix"
    run("cmake", "--install", build, "--prefix", prefix)
    source = tmp_path / "source"
    shutil.copytree(ROOT / "tests/install", source)
    program = re.search(r"```cpp\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    (source / "readme.cpp").write_text(program, encoding="utf-8")
    run("cmake", "-S", source, "-B", tmp_path / "b", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "b")
    assert run(tmp_path / "b/consumer") == "6 0\n"
    printed = run(tmp_path / "b/readme")
    assert printed.strip() in program, "the README says that the program prints something else"
    assert "qing 0.1.0" in run(prefix / "bin/qing", "--version")
