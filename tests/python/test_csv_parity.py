"""CSV files are read like Python's csv module reads them."""

import csv
import json
import random
import subprocess

import pytest
from conftest import BUILD

FIELDS = ["", " ", "a", '"', '""', ",", "\n", "\r\n", "\r", "\n\n", "好", "😀", 'a"b', '"a', 'a"', "\t", "é\x00", "'", "\u2028"]


def records(path):
    """Returns the rows that qing reads, header first, and the error or None."""
    tool = BUILD / "read_records"
    result = subprocess.run([tool, path], capture_output=True, timeout=60, check=True)
    rows = [json.loads(line) for line in result.stdout.decode().split("\n")[:-1]]
    error = rows.pop()["error"] if rows and isinstance(rows[-1], dict) else None
    return rows, error


def python_records(path):
    """The same with the csv module, which does not check the number of fields and returns [] for a blank line."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = []
        try:
            for row in csv.reader(file, strict=True):
                if row and rows and len(row) != len(rows[0]):
                    return rows, "fields"
                if row:
                    rows.append(row)
        except csv.Error as error:
            return rows, str(error)
        return rows, None


@pytest.mark.parametrize("seed", range(40))
def test_written_tables_are_read_back(seed, tmp_path):
    rng = random.Random(seed)
    width = rng.randint(1, 5)
    table = [["".join(rng.choices(FIELDS, k=rng.randint(0, 6))) for _ in range(width)] for _ in range(rng.randint(1, 60))]
    path = tmp_path / "table.csv"
    # With "\n" as the line end the writer does not quote "\r".
    quoting, ends = rng.choice([(csv.QUOTE_MINIMAL, ["\r\n"]), (csv.QUOTE_ALL, ["\n", "\r\n"])])
    with open(path, "w", encoding=rng.choice(["utf-8", "utf-8-sig"]), newline="") as file:
        csv.writer(file, lineterminator=rng.choice(ends), quoting=quoting).writerows(table)
    assert records(path) == (table, None)
    assert python_records(path) == (table, None)


def test_hostile_text_is_read_or_refused_alike(tmp_path):
    rng = random.Random(1)
    refused = 0
    for number in range(400):
        # A single carriage return is text in qing and a line end in csv, so it occurs only with its line feed.
        pieces = rng.choices(['"', '"', ",", "\n", "\r\n", "a", "好", " "], k=rng.randint(0, 12))
        path = tmp_path / f"{number}.csv"
        text = "h,i\n" + "".join(pieces)
        path.write_text(text, encoding="utf-8", newline="")
        ours, our_error = records(path)
        theirs, their_error = python_records(path)
        assert (ours, our_error is None) == (theirs, their_error is None), (text, our_error, their_error)
        refused += our_error is not None
    assert 50 < refused < 350
