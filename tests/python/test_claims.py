"""docs/claims.md: every claim is in its document, and every test that it names exists."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

DOCUMENTS = ["README.md", "docs/security.md", "docs/api.md", "docs/service.md"]


def plain(text):
    return re.sub(r"\s+", " ", text)


def rows():
    """Returns (claim, document, tests) of the table."""
    found = []
    for line in (ROOT / "docs/claims.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0] != "claim" and set(cells[0]) != {"-"}:
            found.append((cells[0], cells[1], re.findall(r"`([^`]+)`", cells[2])))
    return found


def all_tests():
    names = set()
    for file in (ROOT / "tests").rglob("*_test.cpp"):
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", file.read_text(encoding="utf-8"), re.MULTILINE):
            names.add(f"{suite}.{name}")
    for file in Path(__file__).parent.glob("test_*.py"):
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            names.add(f"{file.name}::{name}")
    return names


def table_rows(document, heading):
    """Returns the cells of each row of the table whose first heading is `heading`."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    body = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        body.append([cell.strip() for cell in line.split("|")[1:-1]])
    return body


def check_claim(claim, document, tests):
    """Raises AssertionError if the document does not contain the claim, or a test for it does not exist."""
    assert plain(claim) in plain((ROOT / document).read_text(encoding="utf-8")), f"{document} does not say: {claim}"
    assert tests, f"no test holds: {claim}"
    missing = [test for test in tests if test not in all_tests()]
    assert not missing, f"{missing} do not exist; they should hold: {claim}"


@pytest.mark.parametrize("claim, document, tests", rows(), ids=[row[0][:60] for row in rows()])
def test_a_claim_stands_in_its_document_and_has_a_test(claim, document, tests):
    check_claim(claim, document, tests)


def test_no_claim_is_listed_twice():
    listed = [(plain(claim), document) for claim, document, _ in rows()]
    assert len(listed) == len(set(listed))
    assert {document for _, document in listed} >= {*DOCUMENTS, "serve/models/emotion_analysis/1/README.md"}


@pytest.mark.parametrize("heading", ["threat", "what happens"])
def test_every_promise_of_the_security_page_is_claimed(heading):
    claims = [plain(claim) for claim, document, _ in rows() if document == "docs/security.md"]
    for cells in table_rows("docs/security.md", heading):
        row = plain("| " + " | ".join(cells) + " |")
        assert any(claim in row for claim in claims), f"no claim of: {row}"


def test_a_missing_claim_would_be_found():
    assert len(rows()) > 100
    claim, document, tests = rows()[0]
    check_claim(claim, document, tests)
    with pytest.raises(AssertionError, match="does not say"):
        check_claim("qing reads minds", document, tests)
    with pytest.raises(AssertionError, match="no test holds"):
        check_claim(claim, document, [])
    with pytest.raises(AssertionError, match="do not exist"):
        check_claim(claim, document, [*tests, "ServeTest.ReadsMinds"])
