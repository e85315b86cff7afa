"""The pages list every option of `qing train --help`, of each task, and of `qing pretrain --help`, with its default and its
meaning."""

import re

import pytest
from conftest import ROOT

HEADING = "| option | default | meaning |"


def table(text):
    """Returns the help of a command as rows of Markdown."""
    options = []
    for line in text.splitlines():
        start = re.match(r"  (--[a-z0-9-]+)(?:,(--[a-z0-9-]+))?(?: [A-Z]+)?(?:\s+(\S.*))?$", line)
        if start:
            names = f"`{start[1]}`" + (f", `{start[2]}`" if start[2] else "")
            options.append([names, start[3] or ""])
        elif line.startswith(" " * 10) and options:
            options[-1][1] += " " + line.strip()
    rows = []
    for name, about in options:
        about = about.strip()
        default = re.search(r" Default: (\S+)\.$", about)
        meaning = about[: default.start()] if default else about
        rows.append(f"| {name} | {default[1] if default else ''} | {meaning} |")
    return rows


@pytest.mark.parametrize(("command", "page", "place", "least", "row"), [
    ("train", "training", 0, 30, "| `--layers` | 2 | Number of encoder layers. Must be in [1, 1000]. |"),
    ("pretrain", "training", 1, 20, "| `--mask-share` | 0.15 | Fraction of a text's tokens that are predicted, at least one. Must be in "
                                    "(0, 1). |"),
    ("train --task tagging", "tagging", 0, 30, "| `--epochs` | 5 | Number of epochs. Must be in [1, 9007199254740992]. |"),
])  # fmt: skip
def test_the_page_lists_every_option(qing, command, page, place, least, row):
    expected = table(qing(*command.split(), "--help").stdout)
    assert len(expected) > least and row in expected
    lines = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8").splitlines()
    start = [i for i, line in enumerate(lines) if line == HEADING][place] + 2
    found = []
    while start + len(found) < len(lines) and lines[start + len(found)].startswith("|"):
        found.append(lines[start + len(found)])
    assert found == expected, f"docs/{page}.md has to say:\n" + "\n".join(expected)
