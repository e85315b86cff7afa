"""tests/tidy.py: clang-tidy on several files at a time finds what it finds in each."""

import importlib.util
import os
import re

import pytest
from conftest import ROOT

spec = importlib.util.spec_from_file_location("tidy", ROOT / "tests/tidy.py")
tidy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tidy)

CLEAN = """namespace {
struct NAME { int number = 0; };
}
int first_NAME() { return NAME{}.number; }
"""
WRONG = """#include "HEADER"
#include <utility>
namespace {
int NAME(Text text) {
  const Text other = std::move(text);
  return other.size() + text.size();
}
}
int call_NAME() { return NAME({}) + by_value({}); }
"""
HEADER = """#pragma once
struct Text {
  Text();
  Text(const Text&);
  Text(Text&&) noexcept;
  ~Text();
  int size() const;
};
inline int by_value(Text text) { return text.size(); }
"""


@pytest.fixture
def complaints(tmp_path):
    folder = tmp_path / "nn"  # .clang-tidy reads headers below the folders of the libraries
    folder.mkdir()

    def run(all_checks=False, **files):
        names = []
        for name, text in files.items():
            path = folder / (name.replace("_h", ".h") if name.endswith("_h") else name + ".cpp")
            path.write_text(text)
            if path.suffix == ".cpp":
                names.append(str(path))
        commands = {name: (str(tmp_path), ("-std=c++20",)) for name in names}
        found = tidy.check(names, commands, all_checks)
        first_lines = [re.match(r"(\S+?):.*\[([\w-]+)", text) for text in found]
        return sorted(f"{os.path.basename(line.group(1))} {line.group(2)}" for line in first_lines)

    return run


def wrong(name):
    return WRONG.replace("HEADER", "both.h").replace("NAME", name)


def test_each_file_of_a_batch_is_checked(complaints):
    assert complaints(a=CLEAN.replace("NAME", "a"), b=CLEAN.replace("NAME", "b")) == []
    found = complaints(both_h=HEADER, a=wrong("a"), b=wrong("b"), c=CLEAN.replace("NAME", "c"))
    assert found == ["a.cpp bugprone-use-after-move", "b.cpp bugprone-use-after-move",
                     "both.h performance-unnecessary-value-param"]  # fmt: skip


def test_files_whose_names_clash_are_checked_one_by_one(complaints):
    clean = CLEAN.replace("NAME", "a")
    assert complaints(a=clean, b=clean.replace("first_a", "second_a")) == []
    again = wrong("a").replace("call_a", "again_a")
    assert [line for line in complaints(both_h=HEADER, a=wrong("a"), b=again) if "use-after-move" in line] == [
        "a.cpp bugprone-use-after-move", "b.cpp bugprone-use-after-move"]  # fmt: skip


def test_a_file_that_does_not_compile_is_a_complaint(complaints):
    assert complaints(a="int f() { return nowhere_to_be_found; }\n") == ["a.cpp clang-diagnostic-error"]
    assert complaints(a="int f() { return nowhere_to_be_found; }\n", b=CLEAN) == ["a.cpp clang-diagnostic-error"]


def test_slow_checks_are_for_all_alone(complaints):
    reserved = "int __reserved = 0;\n"
    assert complaints(a=reserved) == []
    assert complaints(all_checks=True, a=reserved) == ["a.cpp bugprone-reserved-identifier"]


def test_every_source_is_in_one_batch():
    alone = tidy.places_compiled_alone()
    assert "serve/protocols/routes" in alone
    names = tidy.sources()
    batches = list(tidy.batches(names, dict.fromkeys(names, ("", ()))))
    assert sorted(name for batch in batches for name in batch) == sorted(names) and len(names) > 300
    for batch in batches:
        assert len(batch) <= tidy.BATCH + 1
        assert len({name.split("/")[0] for name in batch}) == 1, batch
        assert sum(name.startswith(alone) for name in batch) <= 1, batch
