"""The main kernels take no more instructions than recorded. Unlike times, counts are the same in every run."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from conftest import BUILD, ROOT

SPEC = importlib.util.spec_from_file_location("count", ROOT / "tests/instructions/count.py")
gate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gate)


def test_kernels_take_no_more_instructions_than_recorded():
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    if " avx2 " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("the counts are those of AVX2 kernels, which this CPU does not run")
    record = json.loads(gate.RECORD.read_text())
    about, counted = gate.count(BUILD / "kernel_work")
    if about["compiler"] != record["compiler"]:
        pytest.skip(f"the counts are those of g++ {record['compiler']}, this build is by {about['compiler']}")
    found = gate.complaints(record["instructions"], counted)
    assert not found, "\n".join(
        ["", *found, f"If this is the price of something better, accept it with: {gate.ACCEPT}",
         "and commit tests/instructions/counts.json with the reason."]
    )  # fmt: skip


def test_growth_beyond_three_percent_is_reported():
    assert gate.complaints({"a": 1000}, {"a": 1030}) == []
    assert gate.complaints({"a": 1000}, {"a": 500}) == []
    (line,) = gate.complaints({"a": 1000}, {"a": 1031})
    assert line == "a: 1,031 instructions, 3.1% more than 1,000"


def test_cases_must_be_those_recorded():
    assert gate.complaints({"a": 1}, {"b": 1}) == ["a: in counts.json, but no longer measured", "b: not in counts.json"]


def test_a_missing_program_is_told(tmp_path):
    with pytest.raises(gate.CountError, match="does not exist|not installed"):
        gate.count(tmp_path / "kernel_work")
