"""Dependencies between the folders point downward only."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ALLOWED = {
    "tensor": {"tensor"},
    "autograd": {"autograd", "tensor"},
    "nn": {"nn", "autograd", "tensor"},
    "optim": {"optim", "nn", "autograd", "tensor"},
    "serve": {"serve", "optim", "nn", "autograd", "tensor"},
    "benchmarks": {"benchmarks", "serve", "optim", "nn", "autograd", "tensor"},
    "tests": {"tests", "serve", "optim", "nn", "autograd", "tensor"},
    "examples": {"serve", "optim", "nn", "autograd", "tensor"},
}
# What is no public header, so no example may include it.
PRIVATE = re.compile(r"^qing/(tensor/kernels/|autograd/(node|anomaly)\.h|autograd/ops/|serve/(cli|protocols)/)")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def violations(folder, path, text):
    """Descriptions of includes in `text`, a file at `path` below `folder`, that the table forbids."""
    found = []
    for name in INCLUDE.findall(text):
        if name.startswith("qing/"):
            target = name.split("/")[1]
        elif ".." in name:
            target = (Path("/") / folder / path).parent.joinpath(name).resolve().parts[1]
        else:
            continue  # of this folder, or not of this project
        if target not in ALLOWED[folder]:
            found.append(f"{folder}/{path} includes {name}: {folder} may not include {target}")
        if folder == "examples" and PRIVATE.match(name):
            found.append(f"{folder}/{path} includes {name}, which is not a public header")
    return found


def sources(folder):
    return [p for p in (ROOT / folder).rglob("*") if p.suffix in {".h", ".cpp", ".inl"}]


@pytest.mark.parametrize("folder", ALLOWED)
def test_folder_includes_only_what_it_may(folder):
    files = sources(folder)
    assert files, f"no sources in {folder}"
    found = [v for path in files for v in violations(folder, path.relative_to(ROOT / folder), path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "folder,include",
    [
        ("tensor", "<qing/autograd/ops.h>"),
        ("autograd", "<qing/nn/module.h>"),
        ("nn", "<qing/optim/optimizer.h>"),
        ("optim", '"../serve/server.h"'),
        ("examples", "<qing/tensor/kernels/kernels.h>"),
        ("tensor", '"kernels/../../serve/server.h"'),
    ],
)
def test_a_violation_is_found(folder, include):
    assert violations(folder, Path("made_up.cpp"), f"  #  include {include}\n")
