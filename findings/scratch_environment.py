"""A temporary environment with pinned packages, for the scripts beside this file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def run_with(packages: list[str], program: str) -> int:
    """Installs the packages into a temporary environment and runs the program there; gives its exit code."""
    with tempfile.TemporaryDirectory(prefix="findings-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        subprocess.run(install, check=True)
        print("installed:", ", ".join(packages), flush=True)
        return subprocess.run([python, "-c", program], cwd=folder, check=False).returncode


def main(packages: list[str], program: str) -> None:
    """Runs the program; its code becomes this process's."""
    sys.exit(run_with(packages, program))
