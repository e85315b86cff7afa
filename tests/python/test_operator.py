"""tests/operator.sh: the steps of an operator by shell, curl and nginx."""

import shutil
import subprocess

import pytest
from conftest import ROOT, program


def test_the_day_of_an_operator(qing, model_dir, tmp_path):
    for name in ("curl", "openssl"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing")
    script = ["bash", ROOT / "tests/operator.sh", qing.binary, model_dir, program("nginx"), program("promtool"), tmp_path]
    ran = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0 and ran.stdout.endswith("== done\n"), ran.stdout[-1000:] + ran.stderr[-2000:]
