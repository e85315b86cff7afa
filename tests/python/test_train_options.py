"""docs/training.md lists every option of `qing train --help` with its default and its meaning."""

import re

from conftest import ROOT

HEADING = "| option | default | meaning |"


def table(text):
    """Returns the help of a command as rows of Markdown."""
    options = []
    for line in text.splitlines():
        start = re.match(r"  (--[a-z0-9-]+)(?: [A-Z]+)?(?:\s+(\S.*))?$", line)
        if start:
            options.append([start[1], start[2] or ""])
        elif line.startswith(" " * 10) and options:
            options[-1][1] += " " + line.strip()
    rows = []
    for name, about in options:
        about = about.strip()
        default = re.search(r" Default: (\S+)\.$", about)
        meaning = about[: default.start()] if default else about
        rows.append(f"| `{name}` | {default[1] if default else ''} | {meaning} |")
    return rows


def test_the_page_lists_every_option(qing):
    expected = table(qing("train", "--help").stdout)
    assert len(expected) > 30 and "| `--layers` | 2 | Number of encoder layers. Must be in [1, 1000]. |" in expected
    lines = (ROOT / "docs/training.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(HEADING) + 2
    found = []
    while start + len(found) < len(lines) and lines[start + len(found)].startswith("|"):
        found.append(lines[start + len(found)])
    assert found == expected, "docs/training.md has to say:\n" + "\n".join(expected)
