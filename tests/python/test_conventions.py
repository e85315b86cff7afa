"""Conventions of the sources that a machine can check."""

import re

from conftest import ROOT

LAYERS = ["tensor", "autograd", "nn", "optim", "serve"]
INCLUDE = re.compile(r"^#include (.+)$", re.MULTILINE)


def own_header_is_first(path, text):
    """Whether a source file with a header of its own includes it before anything else."""
    header = path.with_suffix(".h")
    if not (ROOT / header).exists():
        return True
    first = INCLUDE.search(text)
    return first is not None and first[1] in (f"<qing/{header}>", f'"{header.name}"')


def sources(*suffixes):
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*")):
            if path.suffix in suffixes:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_every_source_file_includes_its_own_header_first():
    """So that the header is seen to stand by itself."""
    found = [str(path) for path, text in sources(".cpp") if not own_header_is_first(path, text)]
    assert found == []


def test_the_check_sees_another_order():
    path = next(path for path, _ in sources(".cpp") if (ROOT / path.with_suffix(".h")).exists())
    own = f"#include <qing/{path.with_suffix('.h')}>\n"
    assert own_header_is_first(path, own + "#include <vector>\n")
    assert not own_header_is_first(path, "#include <vector>\n" + own)


def test_size_t_stands_without_std():
    """One spelling, the one that int64_t has."""
    found = [str(path) for path, text in sources(".h", ".cpp", ".inl") if re.search(r"\bstd::size_t\b", text)]
    assert found == []


def classes_of(text):
    """The classes that a header defines at the top level of a named namespace, with the namespace."""
    namespace = ""
    for line in text.splitlines():
        if opened := re.match(r"namespace ([\w:]+) \{", line):
            namespace = opened[1]
        elif re.match(r"namespace \{", line):
            return
        elif defined := re.match(r"(?:class|struct|enum class) (\w+)(?: final)?(?: :[^;]*)?(?: \{|$)", line):
            yield f"{namespace}::{defined[1]}"


def test_a_class_has_one_definition():
    """Two classes of one name in one library are one to the linker, which takes the functions of either."""
    found = {}
    for path, text in sources(".h"):
        # Each unit of an instruction set includes its own vectors, with internal linkage.
        if path.name.startswith("vec_") or path.name == "packed_dot.h":
            continue
        for name in classes_of(text):
            found.setdefault(name, []).append(str(path))
    assert len(found) > 300 and "qing::nn::text::Pipeline" in found
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
