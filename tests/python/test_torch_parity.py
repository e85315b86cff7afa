"""Every row of tests/parity: qing's values and gradients equal PyTorch's to 1e-12 in f64 and 1e-5 in f32."""

import sys

import pytest
from conftest import BUILD, ROOT

pytest.importorskip("torch")

sys.path.insert(0, str(ROOT / "tests/parity"))

import harness  # noqa: E402
import table  # noqa: E402
import wrong  # noqa: E402

LEAST_ROWS = 300


def run(rows, folder):
    return harness.run(rows, BUILD / "parity_runner", folder)


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    found, cases = run(list(table.ROWS.values()), tmp_path_factory.mktemp("parity"))
    print(f"{len(found)} rows in {cases} cases")
    return found


@pytest.mark.parametrize("name", table.ROWS)
def test_row(name, problems):
    assert not problems[name], "\n".join(problems[name][:10])


def test_the_table_is_long(problems):
    print(f"{len(problems)} rows")
    assert len(problems) >= LEAST_ROWS


def test_what_is_wrong_is_refused(tmp_path):
    found, _ = run(wrong.ROWS, tmp_path)
    assert len(found) == len(wrong.ROWS)
    assert [name for name in found if not found[name]] == []
