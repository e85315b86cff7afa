"""Files as Excel, LibreOffice, pandas, Label Studio and people write them are read right, or refused with the line."""

import json
import subprocess

import pytest
from conftest import BUILD
from messy_files import CHINESE, FILES, FRENCH, ROWS, workbook, inline_rows


def read(path, *arguments):
    """The rows, the refused lines, the error and the guesses that the reader gives."""
    result = subprocess.run([BUILD / "read_table", path, *arguments], capture_output=True, timeout=60, check=True)
    found = [json.loads(line) for line in result.stdout.decode().splitlines()]
    rows = [(one["label"], one["text"]) for one in found if "text" in one]
    refused = [(one["line"], one["reason"]) for one in found if "reason" in one]
    error = "".join(one["error"] for one in found if "error" in one)
    return rows, refused, error, "".join(one.get("guesses", "") for one in found)


def test_there_are_at_least_forty_files():
    assert len(FILES) >= 40 and len({one.name for one in FILES}) == len(FILES)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_quoted_tsv_after_a_mark(tmp_path, encoding):
    path = tmp_path / "quoted.tsv"
    path.write_bytes('"label"\t"text"\n"positive"\t"good"\n"negative"\t"bad"\n'.encode(encoding))
    assert read(path)[:3] == ([("positive", "good"), ("negative", "bad")], [], "")


@pytest.mark.parametrize("messy", FILES, ids=lambda messy: messy.name)
def test_a_messy_file_is_read_right_or_refused_with_its_line(messy, tmp_path):
    path = tmp_path / messy.name
    path.write_bytes(messy.content)
    rows, refused, error, guesses = read(path, *messy.arguments)
    assert rows == messy.rows
    assert [line for line, _ in refused] == [line for line, _ in messy.refused], refused
    for (_, reason), (_, part) in zip(refused, messy.refused):
        assert part in reason
    assert messy.error in error and bool(error) == bool(messy.error), error
    if messy.error:
        assert str(path) in error
    assert messy.guess in guesses


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_pandas_writes_is_read_back(encoding, delimiter, tmp_path):
    import pandas

    rows = FRENCH if encoding == "cp1252" else CHINESE if encoding == "gb18030" else ROWS
    frame = pandas.DataFrame({"id": range(len(rows)), "text": [text for _, text in rows], "label": [label for label, _ in rows]})
    path = tmp_path / ("table.tsv" if delimiter == "\t" else "table.csv")
    frame.to_csv(path, sep=delimiter, encoding=encoding, index=False)
    assert read(path)[0] == rows
    frame.to_csv(path, sep=delimiter, encoding=encoding, index=True, quoting=1)  # every field in quotes
    assert read(path)[0] == rows
    assert read(path, "text", "label", delimiter, encoding)[0] == rows


def test_what_pandas_writes_as_json_is_read_back(tmp_path):
    import pandas

    frame = pandas.DataFrame({"text": [text for _, text in ROWS], "label": [label for label, _ in ROWS]})
    for name, options in (("a.json", {"orient": "records"}), ("b.jsonl", {"orient": "records", "lines": True}),
                          ("c.json", {"orient": "records", "force_ascii": False, "indent": 2})):
        frame.to_json(tmp_path / name, **options)
        assert read(tmp_path / name)[0] == ROWS


def test_a_date_of_a_workbook_may_count_from_1904(tmp_path):
    styles = '<cellXfs><xf numFmtId="14"/></cellXfs>'
    rows = inline_rows([("label", "text")]) + '<row><c s="0"><v>43844</v></c><c t="inlineStr"><is><t>a</t></is></c></row>'
    for name, old, date in (("a.xlsx", False, "2020-01-14"), ("b.xlsx", True, "2024-01-15")):
        path = tmp_path / name
        path.write_bytes(workbook({"S": ("visible", rows)}, styles=styles, date1904=old))
        assert read(path)[0] == [(date, "a")]
