"""Schemathesis over the OpenAPI description: allowed requests are accepted, forbidden ones refused, every answer is
described, and none is a server error."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Refusals of these routes depend on more than the description can say: on the value of another field, the version that
# answers, the kind of the model, and the files that exist.
STATEFUL = "jobs$|versions$|infer$|trial$|rollback$|tag$|translate$|embeddings$|embed$|similarity$|promote$|feedback$"
NEVER = "unload$"  # after it a 503 would be right


@pytest.mark.parametrize(
    "selection",
    [
        ("--exclude-path-regex", f"{STATEFUL}|{NEVER}"),
        ("--include-path-regex", STATEFUL, "--exclude-checks", "positive_data_acceptance"),
    ],
    ids=["accepted and refused", "refused"],
)
def test_the_server_does_what_it_describes(models_root, serve, tmp_path, selection):
    root = shutil.copytree(models_root, tmp_path / "models")
    shutil.copytree(root / "emotion_analysis/1", root / "emotion_analysis/2")
    server = serve("--models", root)
    # Otherwise most requests would be for models that do not exist.
    known = '[parameters]\n"path.name" = "emotion_analysis"\n"path.version" = "2"\n'
    (tmp_path / "schemathesis.toml").write_text(known)
    command = [Path(sys.executable).parent / "schemathesis", "run", server.endpoint + "/openapi.json", "--checks", "all",
               "--max-examples", "25", "--seed", "7", "--continue-on-failure", "--no-color", "--suppress-health-check", "all",
               *selection]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=500)
    assert done.returncode == 0, done.stdout[-8000:]
    cases, operations = (int(re.search(form, done.stdout)[1]) for form in (r"(\d+) generated", r"Tested: (\d+)"))
    print(f"{operations} operations, {cases} cases")
    assert cases > 20 * operations
    assert server.process.poll() is None
