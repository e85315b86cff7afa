"""The programs of examples: what docs/learn.md says that they print, their answers, and their errors."""

import math
import os
import re
import subprocess

import pytest
from conftest import BUILD, ROOT

EXAMPLES = BUILD / "examples"
PAGE = (ROOT / "docs/learn.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def run(line, folder):
    environment = {**os.environ, "PATH": f"{EXAMPLES}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


def shown_commands():
    """Returns [(command, what the page shows below it)] in their order."""
    blocks = re.findall(r"^```(.*?)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    programs = "".join(block for language, block in blocks if not language)
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", programs, re.MULTILINE)
    assert len(shown) >= 9
    return shown


def is_like(printed, shown):
    """Whether the words are the same and the numbers near; ports and the last digits differ."""
    printed, shown = (re.sub(r"port \d+", "port", text) for text in (printed, shown))
    if NUMBER.sub("0", printed) != NUMBER.sub("0", shown):
        return False
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True)
    return all(math.isclose(float(ours), float(theirs), rel_tol=0.2, abs_tol=0.005) for ours, theirs in pairs)


def test_numbers_are_compared():
    assert is_like("loss 0.0500 of 3\n", "loss 0.0501 of 3\n")
    assert not is_like("loss 0.0500 of 3\n", "loss 0.0900 of 3\n")
    assert not is_like("loss 0.0500 of 3\n", "loss 0.0500 of 4\n")
    assert not is_like("loss 0.0500 of 3\n", "error 0.0500 of 3\n")


def test_the_page_shows_what_the_programs_print(tmp_path):
    for command, shown in shown_commands():
        done = run(command, tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert is_like(done.stdout, shown), f"{command} printed\n{done.stdout}\nand the page shows\n{shown}"


def test_the_page_names_every_program():
    for source in (ROOT / "examples").glob("[0-9]*.cpp"):
        assert f"](../examples/{source.name})" in PAGE
        assert any(command.startswith(f"example_{source.stem}") for command, _ in shown_commands())


def test_the_classifier_knows_its_texts_and_answers_others(tmp_path):
    lines = run("example_02_train_classifier model", tmp_path).stdout.splitlines()
    assert lines[1] == "right on 48 of the 48 training texts"
    assert [line.split() for line in lines[2:]] == [
        ["I", "love", "this", "song", "positive"],
        ["what", "a", "terrible", "car", "negative"],
        ["on", "the", "table", "is", "a", "book", "neutral"],
    ]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("example_02_train_classifier /dev/null/model", "/dev/null/model"),
        ("example_03_embed_server missing", "missing"),
        ("example_07_finetune missing reviews.tsv out", "missing/config.json: cannot open"),
    ],
)
def test_a_mistake_is_one_line_and_no_crash(command, told, tmp_path):
    done = run(command, tmp_path)
    assert done.returncode == 1 and told in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_a_resumed_training_ends_with_the_same_bits(tmp_path):
    whole = run("example_09_save_and_resume once 60", tmp_path).stdout
    parts = run("example_09_save_and_resume twice 30 && example_09_save_and_resume twice 60", tmp_path).stdout.splitlines()
    assert whole.startswith("step 60 ") and parts[1:] == ["went on after step 30", whole.rstrip()]


def test_the_ranks_print_the_same_bits(tmp_path):
    assert run("example_06_data_parallel 1", tmp_path).stdout == run("example_06_data_parallel 3", tmp_path).stdout
