"""Files that visitors give the web page: made by Excel, pandas and by hand, in the encodings of spreadsheets. Each is read as
it was meant, with what was guessed shown, or refused with a reason."""

import datetime
import io
import json
import zipfile

import browser as browsing
import openpyxl
import pandas as pd
import pytest
from test_web_page import analyse_file, chromium, choose, endpoint, page, saved  # noqa: F401  the fixtures

pytestmark = browsing.needs_chromium
GERMAN = "text;sterne\r\nDas Café war schön;5\r\n\"Nie wieder; zu laut\";1\r\n"
GERMAN_TEXTS = ["Das Café war schön", "Nie wieder; zu laut"]
FRENCH = "id,text\n1,C’est l’été… très déçu\n2,Œuvre géniale à voir\n"
FRENCH_TEXTS = ["C’est l’été… très déçu", "Œuvre géniale à voir"]
CHINESE = "编号,文本\r\n1,我非常喜欢这个电影。\r\n2,\"产品很差，不好\"\r\n"
CHINESE_TEXTS = ["我非常喜欢这个电影。", "产品很差，不好"]
BROKEN = 'id,text\n1,"a ""quoted"",\nbroken line"\n2,plain\n'
BROKEN_TEXTS = ['a "quoted",\nbroken line', "plain"]


def workbook(*sheets, hidden=()):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if name in hidden:
            sheet.sheet_state = "hidden"
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


BOOK = workbook(("Reviews", [["id", "when", "text", "ok"], [1, datetime.date(2024, 2, 29), "I love <it> & more", True],
                             [2.5, datetime.datetime(2024, 3, 1, 13, 45), " two\nlines ", None]]))  # fmt: skip
TWO_SHEETS = workbook(("notes", [["nothing here"]]), ("data", [["text"], ["good"], ["bad"]]), hidden=("notes",))
LONG_ID = 12345678901234567890

# name, content, encoding shown, separator shown, texts of the guessed column
READ = [
    ("german.csv", GERMAN.encode("cp1252"), "windows-1252", ";", GERMAN_TEXTS),
    ("german-mark.csv", GERMAN.encode("utf-8-sig"), "utf-8", ";", GERMAN_TEXTS),
    ("french.csv", FRENCH.encode("cp1252"), "windows-1252", ",", FRENCH_TEXTS),
    ("french-utf8.csv", FRENCH.encode(), "utf-8", ",", FRENCH_TEXTS),
    ("one-umlaut.csv", "text\nMädchen\n".encode("cp1252"), "windows-1252", ",", ["Mädchen"]),
    ("accents.csv", "text\nÀÉÈ à é è ÄÖÜß\n".encode("cp1252"), "windows-1252", ",", ["ÀÉÈ à é è ÄÖÜß"]),
    ("chinese.csv", CHINESE.encode("gb18030"), "gb18030", ",", CHINESE_TEXTS),
    ("chinese-utf8.csv", CHINESE.encode("utf-8-sig"), "utf-8", ",", CHINESE_TEXTS),
    ("two-signs.csv", "text\n好\n".encode("gb18030"), "gb18030", ",", ["好"]),
    ("mixed.csv", "text\n我买了iPhone 15，very nice！\n".encode("gb18030"), "gb18030", ",", ["我买了iPhone 15，very nice！"]),
    ("excel-unicode.txt", 'id\ttext\r\n1\t"two\r\nlines ""q"""\r\n2\t好\r\n'.encode("utf-16"), "utf-16le", "\t", ['two\r\nlines "q"', "好"]),
    ("utf16be.csv", b"\xfe\xff" + GERMAN.encode("utf-16-be"), "utf-16be", ";", GERMAN_TEXTS),
    ("no-mark.csv", GERMAN.encode("utf-16-le"), "utf-16le", ";", GERMAN_TEXTS),
    ("broken.csv", BROKEN.encode(), "utf-8", ",", BROKEN_TEXTS),
    ("quotes.tsv", b'label\ttext\npos\t"Great" he said\nneg\t"only"\n', "utf-8", "\t", ['"Great" he said', '"only"']),
    ("pipe.csv", b"id|text\n1|a, b\n2|c; d\n", "utf-8", "|", ["a, b", "c; d"]),
    ("mac.csv", b"id,text\r1,one\r2,two\r", "utf-8", ",", ["one", "two"]),
    ("one-column.csv", b"text\nI said: hello, you\nbye\n", "utf-8", ",", ["I said: hello", "bye"]),
    ("no-header.csv", b"1,I love this film\n2,What a terrible day it was\n", "utf-8", ",", ["I love this film", "What a terrible day it was"]),
    ("labels.csv", b"pos,so good\nneg,so bad\npos,fine\n", "utf-8", ",", ["so good", "so bad", "fine"]),
    ("short-names.csv", b"kommentar,note\ngut,1\nschlecht,6\n", "utf-8", ",", ["gut", "schlecht"]),
    ("one-name.csv", "meinung\nsehr gut\nnie\n".encode(), "utf-8", ",", ["sehr gut", "nie"]),
    ("lines.txt", b"first, with a comma\n\nsecond\n", "utf-8", "lines", ["first, with a comma", "second"]),
    ("one-word-first.txt", b"Great\nThis is bad.\nI like it a lot\n", "utf-8", "lines", ["Great", "This is bad.", "I like it a lot"]),
    ("named-lines.txt", b"text\nso good\nso bad\n", "utf-8", "lines", ["so good", "so bad"]),
    ("excel-states.csv", b"sep=;\r\ntext;n\r\ngood, really;1\r\nbad;2\r\n", "utf-8", ";", ["good, really", "bad"]),
    ("names.csv", b"produkt;kommentar\nA1;sehr gut gemacht\nB2;schlecht verarbeitet\n", "utf-8", ";", ["sehr gut gemacht", "schlecht verarbeitet"]),
    ("short-rows.csv", b"text,stars\ngood,5\nbad\n", "utf-8", ",", ["good", "bad"]),
    ("rows.jsonl", b'{"text": "good", "n": 1}\n\n{"text": "bad", "more": {"a": [1]}}\n', "utf-8", None, ["good", "bad"]),
    ("strings.jsonl", b'"good"\n"bad"\n', "utf-8", None, ["good", "bad"]),
    ("array.json", json.dumps([{"id": 1, "review": "好"}, {"id": 2, "review": None}]).encode(), "utf-8", None, ["好", ""]),
    ("book.xlsx", BOOK, None, None, ["I love <it> & more", " two\nlines "]),
    ("named-wrong.csv", TWO_SHEETS, None, None, ["good", "bad"]),
]
REFUSED = [
    ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "This is an old or encrypted workbook, which qing does not read. Save it as .xlsx"),
    ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "This is a picture"),
    ("letter.pdf", b"%PDF-1.4\n1 0 obj\n", "This is a PDF, which qing does not read. Save its texts as .csv or .txt."),
    ("named-wrong.txt", b"%PDF-1.4\n1 0 obj\n", "This is a PDF"),
    ("table.parquet", b"PAR1" + bytes(20), "This is a Parquet file, which qing does not read. Convert it to CSV."),
    ("bytes.csv", bytes(range(256)) * 4, "neither a text file"),
    ("letter.docx", b"PK\x03\x04" + bytes(100), "This is a document"),
    ("cut.xlsx", BOOK[: len(BOOK) // 2], "cannot read this workbook"),
    ("empty.csv", b"", "no rows"),
    ("header.csv", b"text,label\n", "no rows"),
]


@pytest.fixture(scope="module")
def reader(chromium, endpoint):  # noqa: F811
    """The page, opened once for many files."""
    chromium.open_page(endpoint)
    yield chromium
    assert chromium.console() == []


def texts_read(page):  # noqa: F811
    return page.run("const column = Number(document.getElementById('column').value); return table.rows.map(row => row[column])")


@pytest.mark.parametrize("name, content, encoding, separator, texts", READ, ids=[case[0] for case in READ])
def test_a_file_is_read_as_it_was_meant(reader, tmp_path, name, content, encoding, separator, texts):
    page = reader  # noqa: F811
    path = tmp_path / name
    path.write_bytes(content)
    choose(page, path)
    assert texts_read(page) == texts
    if encoding is not None:
        assert page.run("return document.getElementById('encoding').value") == encoding
        assert "(guessed)" in page.run("return document.getElementById('encoding').selectedOptions[0].textContent")
    if separator is not None:
        names = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar |", "lines": "none: a text on each line"}
        assert page.text("#separator option") == f"{names[separator]} (guessed)"
    assert not page.run("return document.getElementById('run').disabled || document.getElementById('preview').hidden")
    assert page.text("#file-name") == name


@pytest.mark.parametrize("name, content, reason", REFUSED, ids=[case[0] for case in REFUSED])
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(reader, tmp_path, name, content, reason):
    page = reader  # noqa: F811
    path = tmp_path / name
    path.write_bytes(content)
    choose(page, path)
    assert reason in page.text("#batch-status")
    assert page.run("return document.getElementById('run').disabled")


def test_what_may_be_misread_is_told(page, tmp_path):  # noqa: F811
    for name, content, told in [
        ("uneven.csv", b"text,stars\ngood,5\nbad\nfine,3,x\n", "2 with another number of cells"),
        ("wrong.jsonl", b'{"text": "good"}\nnothing\n[1]\n', "2 lines are not JSON objects and were skipped: 2, 3"),
        ("empty.csv", b"id,text\n1,good\n2,\n3,  \n", "2 rows have no text"),
    ]:
        (tmp_path / name).write_bytes(content)
        choose(page, tmp_path / name)
        assert told in page.text("#batch-status"), name


def test_long_numbers_and_dates_keep_their_digits(page, tmp_path):  # noqa: F811
    path = tmp_path / "ids.jsonl"
    path.write_text(f'{{"id": {LONG_ID}, "x": 1.5, "text": "good"}}\n')
    choose(page, path)
    assert page.run("return table.rows[0]") == [str(LONG_ID), "1.5", "good"]
    path = tmp_path / "book.xlsx"
    path.write_bytes(BOOK)
    choose(page, path)
    assert page.run("return [table.head, ...table.rows]") == [
        ["id", "when", "text", "ok"],
        ["1", "2024-02-29", "I love <it> & more", "TRUE"],
        ["2.5", "2024-03-01 13:45:00", " two\nlines ", ""],
    ]


def test_a_text_that_another_program_took_for_a_formula_is_kept(page, tmp_path):  # noqa: F811
    """pandas and openpyxl write a text that begins with = as a formula without a value."""
    path = tmp_path / "pandas.xlsx"
    pd.DataFrame({"text": ["=great film", "good"]}).to_excel(path, index=False)
    choose(page, path)
    assert texts_read(page) == ["=great film", "good"]


def test_shared_strings_runs_and_gaps_of_a_workbook(page, tmp_path):  # noqa: F811
    """As Excel writes them: strings in a table, formatted runs, reading aids, cells that are left out."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    files = {
        "xl/workbook.xml": f'<workbook {space} {relations}><sheets><sheet name="S" sheetId="1" r:id="rId9"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId9" Type="x" Target="/xl/worksheets/other.xml"/></Relationships>',
        "xl/sharedStrings.xml": f'<sst {space}><si><t>text</t></si><si><r><t>good_x0009_</t></r><r><t>film</t></r></si>'
        "<si><t>情</t><rPh><t>qing</t></rPh></si></sst>",
        "xl/worksheets/other.xml": f'<worksheet {space}><sheetData><row><c r="A1" t="str"><v>id</v></c><c r="C1" t="s"><v>0</v></c></row>'
        '<row><c r="C2" t="s"><v>1</v></c></row><row/><row><c r="A4"><v>7</v></c><c r="C4" t="s"><v>2</v></c></row></sheetData></worksheet>',
    }
    path = tmp_path / "excel.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    choose(page, path)
    assert page.run("return [table.head, ...table.rows]") == [["id", "Column 2", "text"], ["", "", "good\tfilm"], ["7", "", "情"]]


def test_the_settings_can_be_changed(page, tmp_path):  # noqa: F811
    path = tmp_path / "russian.csv"
    path.write_bytes("text;x\nхороший фильм, да;1\n".encode("cp1251"))
    choose(page, path)
    change = "const e = document.getElementById(arguments[0]); e[arguments[1]] = arguments[2]; e.dispatchEvent(new Event('change'))"
    page.run(change, "encoding", "value", "windows-1251")
    page.wait("table.rows[0][0] === 'хороший фильм, да'")
    page.run(change, "separator", "value", ",")
    page.wait("table.rows[0][0] === 'хороший фильм'")
    page.run(change, "separator", "value", "guess")
    page.wait("table.rows.length === 1 && table.rows[0].length === 2")
    page.run(change, "header", "checked", False)
    page.wait("table.rows.length === 2 && table.head[0] === 'Column 1'")
    page.run(change, "column", "value", "1")
    page.wait("document.querySelector('#preview th .chosen').textContent === 'Column 2'")
    book = tmp_path / "two.xlsx"
    book.write_bytes(workbook(("a", [["text"], ["good"]]), ("b", [["text"], ["bad"]])))
    choose(page, book)
    assert texts_read(page) == ["good"] and not page.run("return document.getElementById('sheet-field').hidden")
    page.run(change, "sheet", "value", "1")
    page.wait("table.rows[0][0] === 'bad'")


def test_a_dropped_file_is_read(page):  # noqa: F811
    page.run("const list = new DataTransfer(); list.items.add(new File(['text\\ngood\\n'], 'dropped.csv'));"
             "for (const type of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { dataTransfer: list, bubbles: true, cancelable: true }))")  # fmt: skip
    page.wait("document.getElementById('file-name').textContent === 'dropped.csv'")
    assert texts_read(page) == ["good"]
    assert not page.run("return document.body.classList.contains('dragging')")


@pytest.mark.parametrize("tab, told", [("try", "batch-status"), ("data", "error")])
def test_a_dropped_document_is_refused_by_name(page, tab, told):  # noqa: F811
    page.click(f"#tab-{tab}")
    page.run("window.posts = 0; const before = fetch; window.fetch = (url, options) => { posts += options.method === 'POST'; return before(url, options); }")
    for name, content, what in [("letter.pdf", "%PDF-1.4", "This is a PDF"), ("bad.png", "\\x89PNG", "This is a picture")]:
        page.run("const list = new DataTransfer(); list.items.add(new File([Uint8Array.from(arguments[1], c => c.charCodeAt(0))], arguments[0]));"
                 "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: list, bubbles: true, cancelable: true }))",
                 name, content.replace("\\x89", "\x89"))  # fmt: skip
        page.wait(f"document.getElementById('{told}').textContent.startsWith('{name}: {what}')")
    assert page.run("return posts") == 0 and page.text("#status") == ""
    assert page.run("return document.getElementById('run').disabled && document.getElementById('upload-send').disabled")


def test_the_results_of_lines_are_a_table_with_commas(page, tmp_path):  # noqa: F811
    path = tmp_path / "lines.txt"
    path.write_text("I love this film\nI hate this, too\n")
    choose(page, path)
    analyse_file(page)
    head, first, second = saved(page, tmp_path).read_text(encoding="utf-8-sig").splitlines()
    assert head.split(",")[-5:] == ["label", "score", "score_negative", "score_neutral", "score_positive"]
    assert first.startswith("I love this film,positive,") and second.startswith('"I hate this, too",')


@pytest.mark.parametrize("name, separator", [("rows.csv", ";"), ("rows.tsv", "\t"), ("rows.csv", "|")])
def test_results_keep_the_separator_of_the_file(page, tmp_path, name, separator):  # noqa: F811
    path = tmp_path / name
    path.write_text(f"text{separator}stars\nI love this film{separator}5\n")
    choose(page, path)
    analyse_file(page)
    made = saved(page, tmp_path)
    head, row = made.read_text(encoding="utf-8-sig").splitlines()
    assert head.split(separator) == ["text", "stars", "label", "score", "score_negative", "score_neutral", "score_positive"]
    assert row.startswith(f"I love this film{separator}5{separator}positive{separator}") and made.suffix == path.suffix


def test_numbers_of_a_workbook_come_back_as_numbers(page, tmp_path):  # noqa: F811
    """And its texts as texts, also those that look like numbers."""
    rows = [[1, "I love this film", 0.123456789012, "007"], [-2.5, "I hate this phone", 1234567890123, "42"], [0, "a chair", None, "=1"]]
    path = tmp_path / "numbers.xlsx"
    path.write_bytes(workbook(("data", [["id", "text", 2024, "code"]])))
    book = openpyxl.load_workbook(path)
    for row in rows:
        book.active.append(row)
        book.active.cell(book.active.max_row, 4).data_type = "s"
    book.save(path)
    choose(page, path)
    assert page.run("return table.rows[0]") == ["1", "I love this film", "0.123456789012", "007"]
    analyse_file(page)
    sheet = openpyxl.load_workbook(saved(page, tmp_path, "#download-xlsx")).active
    head, *found = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert [row[:4] for row in found] == rows and [cell.data_type for cell in sheet[2][:4]] == ["n", "s", "n", "s"]
    assert head[:6] == ["id", "text", "2024", "code", "label", "score"] and isinstance(found[0][5], float)


def test_numbers_of_a_table_become_numbers_of_the_workbook(page, tmp_path):  # noqa: F811
    """Those that a spreadsheet shows as they are written, as in the workbooks of `qing predict --out`."""
    path = tmp_path / "numbers.csv"
    path.write_text("id,text,code,long,price\n1,I love this film,007,123456789012,-2.5\n")
    choose(page, path)
    analyse_file(page)
    sheet = openpyxl.load_workbook(saved(page, tmp_path, "#download-xlsx")).active
    assert [cell.value for cell in sheet[2]][:5] == [1, "I love this film", "007", "123456789012", -2.5]
    assert saved(page, tmp_path).read_text(encoding="utf-8-sig").splitlines()[1].startswith("1,I love this film,007,123456789012,-2.5,positive,")


def test_a_row_that_is_too_long_is_told_before_anything_is_sent(page, tmp_path):  # noqa: F811
    path = tmp_path / "long.csv"
    path.write_text("text\nfine\n" + "long " * 100_000 + "\n")
    choose(page, path)
    page.click("#run")
    page.wait("document.getElementById('batch-status').textContent.startsWith('Text 2 has 500.0 kB')")
    assert page.run("return [document.getElementById('run').disabled, document.getElementById('cancel').hidden, document.activeElement.id]") == [False, True, "run"]
