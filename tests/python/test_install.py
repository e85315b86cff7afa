"""cmake --install, then find_package(qing) from a project of its own."""

import os
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
    run("cmake", "-S", ROOT / "tests/install", "-B", tmp_path / "b", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path / "b")
    assert run(tmp_path / "b/consumer") == "6 0\n"
    assert "qing 0.1.0" in run(prefix / "bin/qing", "--version")
