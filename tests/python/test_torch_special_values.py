"""Every pointwise function and its gradients on special values, on every instruction set of this machine. The results are
PyTorch's, with the exceptions in tests/parity/special.py and docs/pytorch.md."""

import os
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

torch = pytest.importorskip("torch")

sys.path.insert(0, str(ROOT / "tests/parity"))

import special  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

RUNNER = BUILD / "parity_runner"


def environment_of(isa, folder):
    """Returns the environment for the instruction set. Skips the test if the machine lacks it."""
    environment = {**os.environ, "QING_ISA": isa}
    (folder / "plan").write_text('"exp" dtype f32 input x plain 0\n', encoding="utf-8")
    save_file({"0/input/x": torch.ones(1)}, folder / "inputs")
    tried = subprocess.run(
        [RUNNER, folder / "plan", folder / "inputs", folder / "outputs"],
        capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    if "this CPU has no" in tried.stdout + tried.stderr:
        pytest.skip(f"this CPU has no {isa}")
    return environment


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx", "neon"])
def test_special_values(isa, tmp_path):
    found = special.problems(RUNNER, tmp_path, environment_of(isa, tmp_path))
    assert not found, "\n".join(found)


def test_the_table_is_long():
    assert len(special.rows()) >= 80
    assert len(special.special_values(torch.float32)) >= 150


def test_a_missing_output_is_seen(monkeypatch, tmp_path):
    """Only a gradient may be missing. It then counts as zeros."""
    case = special.case_of(next(row for row in special.rows() if row.name == "log2"), torch.float32)
    monkeypatch.setattr(special, "cases", lambda: [case])
    for given, told in (
        ({0: dict(case.expected)}, []),
        ({0: {"grad/x": case.expected["grad/x"]}}, ["output/0: no output"]),
        ({}, ["output/0: no output", "grad/x: "]),
        ({0: {"output/0": case.expected["output/0"]}}, ["grad/x: "]),
    ):
        monkeypatch.setattr(special, "results_of", lambda *_, given=given: (given, {}))
        found = special.problems(None, tmp_path)
        assert len(found) == len(told), found
        assert all(part in text for part, text in zip(told, found, strict=True)), found
    monkeypatch.setattr(special, "results_of", lambda *_: ({}, {0: "ValueError"}))
    assert len(special.problems(None, tmp_path)) == 1


def test_a_wrong_element_is_seen():
    case = special.case_of(next(row for row in special.rows() if row.name == "log2"), torch.float32)
    right = case.expected["output/0"]
    assert special.described(case, "output/0", right) is None
    assert right[0] == -torch.inf and right[1].isfinite() and right[-1].isnan()
    for place, value in ((0, 0.0), (1, right[1] * (1 + 1e-4)), (1, float("nan")), (len(right) - 1, 0.0)):
        wrong = right.clone()
        wrong[place] = value
        assert special.described(case, "output/0", wrong) is not None
