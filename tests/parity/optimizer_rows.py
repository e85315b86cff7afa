"""The rows of tests/optim/optimizer_rows.h, which C++ and Python tests share."""

import ast
from pathlib import Path

HEADER = Path(__file__).resolve().parents[1] / "optim/optimizer_rows.h"


def read():
    """(optimizer, its name in torch.optim, case, options of a first group, of a second) for each row."""
    lines = [line.strip() for line in HEADER.read_text(encoding="utf-8").splitlines()]
    return [ast.literal_eval(f"({line[1:-2]})") for line in lines if line.startswith('{"')]
