"""docs/pytorch.md equals the output of tests/parity/page.py. parity_runner compiles its snippets."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/parity"))

import page  # noqa: E402


def test_the_page_is_up_to_date():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run python3 tests/parity/page.py"


def test_the_page_is_long():
    assert page.count() >= 200
