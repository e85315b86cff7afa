"""docs/walkthrough.md: every block runs, in the order of the page, against one server that a block of it starts."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, RunningServer
from walk_tools import active

PAGE = (ROOT / "docs/walkthrough.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\S*) ?(\S*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"
PARTS = list(dict.fromkeys(part for _, part, _ in BLOCKS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("walk")


@pytest.fixture(scope="module")
def server(qing, folder):
    """Started by the words of the page, but for the port."""
    (block,) = (text for _, part, text in BLOCKS if part == "serve")
    command, verb, *options = shlex.split(block)
    assert (command, verb) == ("qing", "serve")
    options[options.index("--port") + 1] = "0"
    options[options.index("--state") + 1] = str(folder / "state")
    running = RunningServer(qing.binary, *options)
    yield running
    assert running.stop()[0] == 0


def run(part, server, qing, folder):
    """Runs the blocks of a part as one script."""
    languages = {language for language, name, _ in BLOCKS if name == part}
    script = "\n".join(text for _, name, text in BLOCKS if name == part).replace(ADDRESS, server.endpoint)
    (language,) = languages
    command = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[language]
    environment = {**os.environ, "PATH": f"{Path(qing.binary).parent}:{os.environ['PATH']}",
                   "PYTHONPATH": str(ROOT / "serve/sdk/python")}  # fmt: skip
    ended = subprocess.run([*command, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, (part, ended.stdout, ended.stderr)
    return ended.stdout


def test_every_block_has_a_part_that_is_run():
    assert PARTS == ["serve", "data", "openai", "curl", "command", "sdk"]
    assert all(language in ("sh", "python") and part for language, part, _ in BLOCKS)
    assert PAGE.count("```") == 2 * len(BLOCKS)


def test_the_page_from_top_to_bottom(server, qing, folder):
    run("data", server, qing, folder)
    said = run("openai", server, qing, folder)
    assert "succeeded ft-emotion_analysis-reviews-" in said and "Step 1/" in said and "version 2" in said
    assert active(server) == "2"
    said = run("curl", server, qing, folder)
    assert "data: [DONE]" in said and '"promoted":true' in said and '"version":"3"' in said, said
    assert re.search(r'"version":"3"[^\n]*"predictions"', said), said
    assert active(server) == "2", "rolled back"
    said = run("command", server, qing, folder)
    assert "succeeded" in said and "The job has successfully completed" in said and "train.csv" in said
    assert "feedback.jsonl" in said and "walk" not in (folder / "feedback.jsonl").read_text()
    assert "model.promote" in said and "model.rollback" in said
    said = run("sdk", server, qing, folder)
    assert "ft-emotion_analysis-" in said and "version 4" in said
    assert active(server) == "2"
