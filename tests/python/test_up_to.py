"""-DQING_UP_TO=X builds X and the layers below it, with tests, tools, benchmarks and examples, and nothing above."""

import re
import subprocess

import pytest
from conftest import BUILD, ROOT

FOLDERS = ["tensor", "autograd", "nn", "optim", "serve"]
PROGRAMS = {  # the folder that each needs, and one that is built from there on
    "tensor": "test_tensor", "autograd": "example_04_custom_operation", "nn": "read_records", "optim": "parity_runner",
    "serve": "qing",
}  # fmt: skip

QUICK = {"tensor": "Npy.*", "autograd": "Elementwise.*", "nn": "SafetensorsTest.*", "optim": "Schedules.*"}  # tests to run


def run(*command):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def without(*packages):
    return [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in packages]


MISSING = {  # packages that a layer and those below it do not need
    "tensor": without("Boost", "OpenSSL", "SQLite3", "PkgConfig"), "autograd": without("Boost", "OpenSSL", "SQLite3", "PkgConfig"),
    "nn": without("OpenSSL", "SQLite3"), "optim": without("OpenSSL", "SQLite3"),
}  # fmt: skip


@pytest.mark.parametrize("top", FOLDERS[:-1])
def test_a_part_of_the_libraries_builds(top):
    # A folder beside the other build, so that the compiler cache reuses its objects.
    build = BUILD.parent / f"up-to-{top}"
    run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", f"-DQING_UP_TO={top}", *MISSING[top])
    run("cmake", "--build", build, "-j", "2")
    here = FOLDERS.index(top)
    for i, folder in enumerate(FOLDERS):
        built = {f"libqing_{folder}.a", f"test_{folder}", PROGRAMS[folder]}
        found = {name for name in built if any(path.is_file() for path in build.rglob(name))}
        assert found == (built if i <= here else set())
    listed = run("ctest", "--test-dir", build, "--show-only")
    assert int(re.search(r"Total Tests: (\d+)", listed)[1]) > 100
    assert "_NOT_BUILT" not in listed
    printed = run(build / f"test_{top}", f"--gtest_filter={QUICK[top]}")
    assert re.search(r"\[==========\] [1-9]\d* tests? from", printed), printed


def test_another_name_is_refused(tmp_path):
    refused = subprocess.run(
        ["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DQING_UP_TO=tensors"], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert refused.returncode != 0
    assert 'QING_UP_TO is "tensors"; it has to be one of' in " ".join(refused.stderr.split())
