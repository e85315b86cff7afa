"""Files as programs and people write them, and what is in them."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

# Texts with what formats trip over: separators, quotes, line breaks, both languages.
ROWS = [
    ("positive", 'I love it; "really", 5|5'),
    ("negative", "第一行\n第二行，很差"),
    ("neutral", "naïve café, tab\there"),
]
PLAIN = [("positive", "great film"), ("negative", "awful, boring film")]
FRENCH = [("positive", "un très bon café à Genève"), ("negative", "trop cher: 5 € pour ça"), ("neutral", "“garçon”, dit-il")]
GERMAN = [("positive", "sehr schön, größer als gewöhnlich"), ("negative", "blöd, müde Gefühle")]  # would be GB 18030 too
POLISH = [("positive", "Film był świetny, żałuję że się skończył"), ("negative", "Obsługa zła, jedzenie gorsze niż w domu")]
RUSSIAN = [("positive", "Отличный фильм, всем советую"), ("negative", "Скучная книга, и слишком длинная")]
CHINESE = [("positive", "这部电影非常好看，我很喜欢"), ("negative", "太差了，不推荐"), ("neutral", "一般，没什么感觉 OK")]


@dataclass
class Messy:
    """A file, and the (label, text) of its rows or the (line, part of the reason) of those that are refused."""

    name: str
    content: bytes
    rows: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    error: str = ""  # a part of what is said of the whole file
    guess: str = ""  # a part of the guesses
    arguments: tuple = ()


def quoted_table(rows, delimiter, quote_all=False, newline="\r\n", header=("label", "text")):
    def cell(value):
        if quote_all or any(sign in value for sign in (delimiter, '"', "\n", "\r")):
            return '"' + value.replace('"', '""') + '"'
        return value

    return "".join(delimiter.join(map(cell, row)) + newline for row in [header, *rows])


def workbook(sheets, strings=None, styles="", relations=True, extra=None, date1904=False):
    """A workbook of sheets {name: (state, XML of the rows)}, written by hand as Excel nests it."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        listed = "".join(
            f'<sheet name="{escape(name)}" sheetId="{i}" state="{state}" r:id="rId{i}"/>'
            for i, (name, (state, _)) in enumerate(sheets.items(), 1)
        )
        book = f'<workbookPr date1904="{int(date1904)}"/><sheets>{listed}</sheets>'
        archive.writestr("xl/workbook.xml", f'{head}<workbook xmlns="{main}" xmlns:r="{office}">{book}</workbook>')
        targets = "".join(f'<Relationship Id="rId{i}" Type="x" Target="worksheets/sheet{i}.xml"/>' for i in range(1, len(sheets) + 1))
        if relations:
            archive.writestr("xl/_rels/workbook.xml.rels", f'{head}<Relationships xmlns="{package}">{targets}</Relationships>')
        for i, (_, rows) in enumerate(sheets.values(), 1):
            archive.writestr(f"xl/worksheets/sheet{i}.xml", f'{head}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>')
        if strings is not None:
            items = "".join(f"<si>{one}</si>" for one in strings)
            archive.writestr("xl/sharedStrings.xml", f'{head}<sst xmlns="{main}">{items}</sst>')
        if styles:
            archive.writestr("xl/styles.xml", f'{head}<styleSheet xmlns="{main}">{styles}</styleSheet>')
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return out.getvalue()


def shared_rows(rows):
    """Rows and shared strings as Excel writes them."""
    strings, xml = [], ""
    for number, row in enumerate(rows, 1):
        cells = ""
        for column, value in zip("ABCDEFGH", row):
            strings.append(f'<t xml:space="preserve">{escape(value)}</t>')
            cells += f'<c r="{column}{number}" t="s"><v>{len(strings) - 1}</v></c>'
        xml += f'<row r="{number}" spans="1:{len(row)}">{cells}</row>'
    return xml, strings


def inline_rows(rows):
    """Rows as openpyxl's write-only mode and other streaming writers write them."""
    return "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' for value in row) + "</row>" for row in rows
    )


def _workbooks():
    header = ("label", "text")
    xml, strings = shared_rows([header, *ROWS])
    yield Messy("excel.xlsx", workbook({"Sheet1": ("visible", xml)}, strings), ROWS)
    yield Messy("streamed.xlsx", workbook({"Data": ("visible", inline_rows([header, *ROWS]))}), ROWS)
    titled = [("Reviews of 2024",), ("exported",), header, *PLAIN]
    yield Messy("title.xlsx", workbook({"S": ("visible", inline_rows(titled))}), PLAIN, guess="with the header in line 3 below a title")
    yield Messy("title-other.xlsx", workbook({"S": ("visible", inline_rows([("Reviews",), ("Note", "Wort"), ("1", "a")]))}),
                error="if that is a title, remove what stands above the names")
    two = {"Notes": ("hidden", inline_rows([("nothing",)])), "Data": ("visible", xml)}
    yield Messy("hidden.xlsx", workbook(two, strings), ROWS, guess="sheet 'Data'")
    named = {"One": ("visible", inline_rows([header, *PLAIN])), "Zwei": ("visible", xml)}
    yield Messy("named.xlsx", workbook(named, strings), ROWS, arguments=("", "", "", "", "Zwei"))
    yield Messy("nosheet.xlsx", workbook(named, strings), error="no sheet 'Drei'; the workbook has: One, Zwei",
                arguments=("", "", "", "", "Drei"))
    rich = ["<t>label</t>", "<t>text</t>", "<t>positive</t>",
            '<r><t xml:space="preserve">bold </t></r><r><rPr><b/></rPr><t>move_x000D_</t></r><rPh sb="0" eb="1"><t>ignored</t></rPh>']
    cells = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
    gaps = cells + '<row r="5"><c r="A5" t="s"><v>2</v></c><c r="B5" t="s"><v>3</v></c></row><row r="9"><c r="B9"/></row>'
    yield Messy("rich.xlsx", workbook({"S": ("visible", gaps)}, rich), [("positive", "bold move\r")])
    numbers = (cells + '<row r="2"><c r="A2"><v>5</v></c><c r="B2" t="str"><f>A1&amp;"x"</f><v>formula</v></c></row>'
               '<row r="3"><c r="A3"><v>0.10000000000000001</v></c><c r="B3" t="inlineStr"><is><t>float</t></is></c></row>'
               '<row r="4"><c r="A4" t="b"><v>1</v></c><c r="B4" t="s"><v>0</v></c></row>'
               '<row r="5"><c r="A5" s="1"><v>45306.5</v></c><c r="B5" t="s"><v>0</v></c></row>')
    dates = '<numFmts count="1"><numFmt numFmtId="164" formatCode="dd\\.mm\\.yyyy"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs>'
    yield Messy("numbers.xlsx", workbook({"S": ("visible", numbers)}, rich, dates),
                [("5", "formula"), ("0.1", "float"), ("TRUE", "label"), ("2024-01-15 12:00:00", "label")])
    faults = (cells + '<row r="2"><c r="A2" t="e"><v>#N/A</v></c><c r="B2" t="s"><v>0</v></c></row>'
              '<row r="3"><c r="A3" t="s"><v>2</v></c><c r="B3" t="s"><v>99</v></c></row>'
              '<row r="4"><c r="A4" t="s"><v>2</v></c><c r="B4" t="s"><v>1</v></c><c r="D4"><v>1</v></c></row>'
              '<row r="5"><c r="A5" t="s"><v>2</v></c><c r="B5" t="s"><v>1</v></c></row>')
    yield Messy("faults.xlsx", workbook({"S": ("visible", faults)}, rich), [("positive", "text")],
                [(2, "cell A2 holds the error #N/A"), (3, "cell B3 names a text"), (4, "column 4, which the header does not name")])
    yield Messy("empty.xlsx", workbook({"S": ("visible", "")}), error="the sheet 'S' is empty")
    yield Messy("cut.xlsx", workbook({"S": ("visible", xml)}, strings)[:700], error="damaged or no workbook")
    broken = workbook({"S": ("visible", cells + "<row><c>")}, rich)
    yield Messy("broken.xlsx", broken, error="save the workbook again")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>'
    evil = workbook({"S": ("visible", cells)}, rich, extra={"xl/styles.xml": bomb + "<x>&a;</x>"})
    yield Messy("entities.xlsx", evil, error="declares a document type")
    yield Messy("document.xlsx", zip_of({"word/document.xml": "<x/>"}), error="zip archive without a workbook")
    yield Messy("renamed.csv", broken, error="zip archive; name it .xlsx")
    yield Messy("renamed.xlsx", b"label,text\nx,y\n", error="is no workbook in spite of its name")
    yield Messy("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", error="save it as .xlsx")


def zip_of(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _separated():
    for name, delimiter, guess in (("comma", ",", ""), ("semicolon", ";", "';'"), ("tab", "\t", "tabs"), ("pipe", "|", "'|'")):
        yield Messy(f"{name}.csv", quoted_table(ROWS, delimiter).encode(), ROWS, guess=guess)
    yield Messy("excel-german.csv", b"\xef\xbb\xbf" + quoted_table(ROWS, ";").encode(), ROWS, guess="';'")
    yield Messy("excel-ansi.csv", quoted_table(FRENCH, ";").encode("cp1252"), FRENCH, guess="Windows-1252")
    yield Messy("excel-umlauts.csv", quoted_table(GERMAN, ";").encode("cp1252"), GERMAN, guess="Windows-1252")
    yield Messy("excel-polish.csv", quoted_table(POLISH, ";").encode("cp1250"), POLISH, guess="Windows-1250")
    yield Messy("excel-russian.csv", quoted_table(RUSSIAN, ";").encode("cp1251"), RUSSIAN, guess="Windows-1251")
    yield Messy("unix-russian.csv", quoted_table(RUSSIAN, ",").encode("koi8-r"), RUSSIAN, guess="KOI8-R")
    yield Messy("excel-chinese.csv", quoted_table(CHINESE, ",").encode("gb18030"), CHINESE, guess="GB 18030")
    yield Messy("excel-gbk.txt", quoted_table(CHINESE, "\t", header=("标签", "内容")).encode("gbk"), CHINESE, guess="text '内容', label '标签'")
    yield Messy("excel-unicode.txt", quoted_table(ROWS, "\t").encode("utf-16"), ROWS, guess="UTF-16")
    yield Messy("big-endian.csv", ("\ufeff" + quoted_table(CHINESE, ",")).encode("utf-16-be"), CHINESE, guess="UTF-16 (big endian)")
    yield Messy("no-mark.csv", quoted_table(FRENCH, ",").encode("utf-16-le"), FRENCH, guess="UTF-16 (little endian)")
    yield Messy("excel-sep.csv", ("sep=;\r\n" + quoted_table(ROWS, ";")).encode(), ROWS, guess="';'")
    yield Messy("libreoffice.csv", quoted_table(ROWS, ",", quote_all=True, newline="\n").encode(), ROWS)
    yield Messy("quoted.tsv", quoted_table(ROWS, "\t", newline="\n").encode(), ROWS, guess="TSV with quotes")
    yield Messy("raw.tsv", b'label\ttext\npositive\t"good" they said\nnegative\t"bad\n', [("positive", '"good" they said'), ("negative", '"bad')])
    yield Messy("commas.tsv", quoted_table(PLAIN, ",").encode(), PLAIN, guess="','")
    for name, title in (("title.csv", "Reviews of 2024"), ("title-commas.csv", "Reviews of 2024,"), ("title-blank.csv", "Reviews\n\nexported\n"),
                        ("title-known.csv", "Comment")):
        lines = title.count("\n") + 2
        yield Messy(name, f"{title}\nlabel,text\n".encode() + b"positive,great film\nnegative,bad\n",
                    [("positive", "great film"), ("negative", "bad")], guess=f"with the header in line {lines} below a title")
    yield Messy("title-semicolon.csv", "Bewertungen\r\nStars;Review\r\n5;gut, ja\r\n1;schlecht, nein\r\n".encode(),
                [("5", "gut, ja"), ("1", "schlecht, nein")], guess="CSV separated by ';', UTF-8, with the header in line 2 below a title")
    yield Messy("title.tsv", b"Reviews\nlabel\ttext\npositive\tgreat, film\n", [("positive", "great, film")], guess="with the header in line 2")
    yield Messy("title-other.csv", b"Reviews\nKommentar,Note\ngut,1\n", error="if that is a title, remove what stands above the names")
    yield Messy("not-title.csv", b"text\ngreat\nfilm\n", error="no column 'label'")
    yield Messy("capitals.csv", quoted_table(PLAIN, ",", header=("Sentiment", "Review")).encode(), PLAIN, guess="text 'Review', label 'Sentiment'")
    yield Messy("stars.csv", b"stars,review\n5,good\n1,bad\n", [("5", "good"), ("1", "bad")], guess="label 'stars'")
    yield Messy("named.csv", b"text,body,label,mood\na,b,c,d\n", [("d", "b")], arguments=("body", "mood"))
    yield Messy("given.csv", b"label^text\nx^a,b\n", [("x", "a,b")], arguments=("", "", "^"))
    yield Messy("latin2.csv", "label,text\nx,žluťoučký kůň\n".encode("iso8859-2"), [("x", "žluťoučký kůň")], arguments=("", "", "", "iso8859-2"))
    trailing = "label,text,,\nx,a,,\n\ny,b,,\n,,,\n"
    yield Messy("trailing.csv", trailing.encode(), [("x", "a"), ("y", "b")], [(5, "the label is empty")])
    uneven = "label,text\nx,a\ny,b,c\nz\nw,d\n"
    yield Messy("uneven.csv", uneven.encode(), [("x", "a"), ("w", "d")], [(3, "3 fields where the header has 2"), (4, "1 field")])
    yield Messy("unclosed.csv", b'label,text\nx,a\ny,"b\nz,c\n', [("x", "a")], [(3, "never ends; close it with a quote (the record has the lines 3 to 4)")])
    yield Messy("backslash.csv", b'label,text\nx,"say \\"hi\\""\ny,b\n', [("y", "b")], [(2, "text after a closing quote")])
    yield Messy("nul.csv", b"label,text\nx,a\0b\ny,b\n", [("y", "b")], [(2, "a NUL byte at byte 3")])
    yield Messy("damaged.csv", "label,text\nx,好的电影很好\n".encode() + b"y,\xff\xfe\nz,b\n", [("x", "好的电影很好"), ("z", "b")], [(3, "or name its encoding with the option encoding")])
    yield Messy("macintosh.csv", b"label,text\rx,a\ry,b\r", error=":1: the lines end with carriage returns alone")
    yield Messy("headless.csv", b"positive,good film\nnegative,bad film\n", error=":1: no column 'text' in the header, which has: 'positive', 'good film'; name the column with the "
                "option text_column. If the file has no names of columns, put a line with them first")
    yield Messy("twice.csv", b"text,label,text\na,x,b\n", error=":1: the column 'text' appears twice")
    yield Messy("empty.csv", b"", error=":1: the file is empty")
    yield Messy("only-sep.csv", b"sep=;\n", error="needs a header and rows")
    yield Messy("table.parquet", b"PAR1....PAR1", error="pandas.read_parquet(")
    yield Messy("packed.csv", b"\x1f\x8b\x08\x00", error="unpack it with gunzip")
    yield Messy("sheet.ods", zip_of({"content.xml": "<x/>"}), error="save it as .xlsx or .csv")
    yield Messy("notes.txt", "great film\nlabel, text\n".encode(), error="a file of plain texts has no labels")
    yield Messy("fast.txt", "__label__positive great film\n__label__negative awful, boring film\n".encode(), PLAIN, guess="fastText")
    yield Messy("fast.ft", b"__label__a x\n__label__a __label__b y\nz\n", [("a", "x")], [(2, "more than one label"), (3, "does not begin with __label__")])


def _json():
    objects = [{"text": text, "label": label} for label, text in ROWS]
    lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)
    yield Messy("rows.jsonl", lines.encode(), ROWS)
    yield Messy("mark.jsonl", b"\xef\xbb\xbf" + lines.replace("\n", "\r\n").encode(), ROWS)
    yield Messy("utf16.jsonl", lines.encode("utf-16"), ROWS, guess="UTF-16")
    yield Messy("list.json", json.dumps(objects, indent=2).encode(), ROWS)
    yield Messy("list.jsonl", json.dumps(objects).encode(), ROWS)
    nested = "".join(json.dumps({"data": {"text": text}, "meta": {"stars": i}}) + "\n" for i, (_, text) in enumerate(ROWS))
    yield Messy("nested.jsonl", nested.encode(), [(str(i), text) for i, (_, text) in enumerate(ROWS)], arguments=("data.text", "meta.stars"))
    mixed = '{"text":"a","label":1}\n{"text":"b","label":true}\n{"text":"c","label":null}\n{"text":3,"label":"x"}\n{"text":null,"label":"x"}\n{"text":"d","label":"x"}\n'
    yield Messy("kinds.jsonl", mixed.encode(), [("1", "a"), ("true", "b"), ("x", "d")],
                [(3, "the label is empty"), (4, "'text' is not a string"), (5, "the text is empty")])
    yield Messy("cut.jsonl", b'{"text":"a","label":"x"}\n{"text":"b","la\n{"text":"c","label":"x"}\n', [("x", "a"), ("x", "c")], [(2, "not JSON")])
    columns = json.dumps({"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}})
    yield Messy("pandas-columns.json", columns.encode(), refused=[(1, "it is an object; name a field of it, or write one object a row")])
    task = {"id": 1, "data": {"review": "good"}, "annotations": [{"result": [{"type": "choices", "value": {"choices": ["positive"]}}]}]}
    other = {"id": 2, "data": {"review": "bad"}, "annotations": [{"result": [], "was_cancelled": True}]}
    yield Messy("label-studio.json", json.dumps([task, other], indent=1).encode(), [("positive", "good")], [(22, "no annotation with one choice")])
    def rated(i, stars, *more):
        result = [{"type": "rating", "from_name": "stars", "value": {"rating": stars}}, *more]
        return {"id": i, "data": {"text": f"text {i}"}, "annotations": [{"result": result}]}

    mood = {"type": "choices", "from_name": "mood", "value": {"choices": ["glad"]}}
    yield Messy("rated.json", json.dumps([rated(1, 5), rated(2, 3.5)]).encode(), [("5", "text 1"), ("3.5", "text 2")])
    both = [rated(1, 5, mood), rated(2, 4), rated(3, 2, mood)]
    lines = "".join(json.dumps(one) + "\n" for one in both)
    yield Messy("rated-and-chosen.jsonl", lines.encode(), [("glad", "text 1"), ("glad", "text 3")],
                [(2, "a rating and no choice, and tasks before it have a choice; name one question with the option label_column")])
    yield Messy("rated-asked.jsonl", lines.encode(), [("5", "text 1"), ("4", "text 2"), ("2", "text 3")], arguments=("", "stars"))
    yield Messy("rated-min.json", json.dumps([{"text": "a", "rating": 4}, {"text": "b", "rating": 1}]).encode(), [("4", "a"), ("1", "b")],
                guess="label 'rating'")
    export = 'annotation_id,annotator,created_at,id,sentiment,text\n1,2,2024-01-01T00:00:00Z,3,positive,"good, ""fine"""\n'
    yield Messy("label-studio.csv", export.encode(), [("positive", 'good, "fine"')], guess="label 'sentiment'")


FILES = [*_separated(), *_json(), *_workbooks()]
