"""Tables through the command: `predict --file --out`, `eval --out`, `data`, and what all of them say of a file."""

import csv
import json
import os
import signal
import subprocess
import time
import zipfile
from xml.etree import ElementTree

import pytest
from conftest import ROOT, small_training, write_tsv
from messy_files import CHINESE, PLAIN, ROWS, inline_rows, quoted_table, workbook

LABELS = ["negative", "neutral", "positive"]
SCORES = [f"score_{label}" for label in LABELS]


def sheet_rows(path):
    """The cells of the first sheet of a workbook that libxlsxwriter wrote, by Python's own zip and XML readers."""
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as archive:
        tree = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in tree.iter(main + "row"):
        cells = {}
        for cell in row.iter(main + "c"):
            column = "".join(filter(str.isalpha, cell.get("r")))
            text = "".join(part.text or "" for part in cell.iter(main + "t"))
            value = cell.find(main + "v")
            cells[column] = text if value is None else float(value.text)
        rows.append(cells)
    return rows


def predicted(qing, texts):
    return [json.loads(line) for line in qing("predict", "--json", "--", *texts).stdout.splitlines()]


def read_csv(path, delimiter=","):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.fixture(scope="module")
def answers(qing):
    return predicted(qing, [text for _, text in ROWS])


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.jsonl", "in.json", "in.xlsx"])
def test_every_format_gives_every_format(qing, answers, tmp_path, name):
    source, texts = tmp_path / name, [text for _, text in ROWS]
    rows = [("id", "review"), *((f"00{i}", text) for i, text in enumerate(texts))]
    objects = [{"id": number, "review": text, "more": {"n": 1.10}} for number, text in rows[1:]]
    source.write_bytes({
        "in.csv": quoted_table(rows[1:], ";", header=rows[0]).encode("utf-16"),
        "in.tsv": quoted_table(rows[1:], "\t", header=rows[0]).encode(),
        "in.jsonl": "".join(json.dumps(one) + "\n" for one in objects).encode(),
        "in.json": json.dumps(objects, indent=2).encode(),
        "in.xlsx": workbook({"S": ("visible", inline_rows(rows))}),
    }[name])
    is_json = name.startswith("in.js")
    columns = ["id", "review", *(["more.n"] if is_json else []), "label", "score", *SCORES]
    for suffix in ("csv", "tsv", "jsonl", "json", "xlsx", "txt"):
        out = tmp_path / f"out.{suffix}"
        said = qing("predict", "--file", source, "--out", out).stderr
        assert "text 'review'" in said
        assert not list(tmp_path.glob("*.part*"))
        if suffix == "txt":
            assert out.read_text().splitlines() == [one["label"] for one in answers]
            continue
        if suffix == "xlsx":
            head, *found = sheet_rows(out)
            assert list(head.values()) == columns
            found = [{head[letter]: value for letter, value in row.items()} for row in found]
        elif suffix in ("csv", "tsv"):
            found = read_csv(out, "," if suffix == "csv" else "\t")
            assert list(found[0]) == columns
        else:
            text = out.read_text(encoding="utf-8")
            found = json.loads(text) if suffix == "json" else [json.loads(line) for line in text.splitlines()]
            assert list(found[0]) == ["id", "review", *(["more"] if is_json else []), "label", "score", *SCORES]
            assert not is_json or ('"n": 1.1' in text and found[0]["more"] == {"n": 1.1})
        for i, (row, answer) in enumerate(zip(found, answers, strict=True)):
            assert row["id"] == f"00{i}" and row["review"] == texts[i] and row["label"] == answer["label"]
            assert float(row["score"]) == pytest.approx(answer["score"], abs=1e-6)
            for label in LABELS:
                assert float(row[f"score_{label}"]) == pytest.approx(answer["scores"][label], abs=1e-6)


def test_taken_names_blank_texts_and_repeated_columns(qing, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("label,text,id,id,\nmine,great film,1,2,x\nmine,,3,4,\nmine, ,5,6,y\n")
    said = qing("predict", "--file", source, "--out", tmp_path / "out.csv").stderr
    assert "the column 'label' is in the table already; the added one is 'predicted_label'" in said
    rows = list(csv.reader(open(tmp_path / "out.csv", newline="")))
    assert rows[0] == ["label", "text", "id", "id", "", "predicted_label", "score", *SCORES]
    assert rows[1][:6] == ["mine", "great film", "1", "2", "x", "positive"] and float(rows[1][6]) > 0.5
    assert rows[2] == ["mine", "", "3", "4", "", "", "", "", "", ""] and rows[3] == ["mine", " ", "5", "6", "y", "", "", "", "", ""]
    qing("predict", "--file", source, "--out", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "positive\n\n\n"
    told = qing("predict", "--file", source, "--out", tmp_path / "out.jsonl", check=False)
    assert told.returncode == 2 and "the column 'id' appears twice, which JSON cannot hold" in told.stderr
    # An object of JSON keeps its members, and a label that is there is not overwritten.
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"text":"great film","label":["x"]}\n{"text":null}\n{}\n')
    qing("predict", "--file", lines, "--out", tmp_path / "o.jsonl", "--bad-rows", "skip")
    first, second = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert first["label"] == ["x"] and first["predicted_label"] == "positive"
    assert second == {"text": None, "predicted_label": None, "score": None, **dict.fromkeys(SCORES)}


def test_bad_rows_stop_or_are_skipped_and_listed(qing, tmp_path):
    source = write_tsv(tmp_path / "in.tsv", [("positive", "great film"), ("negative", "a\tb"), ("negative", "awful film")])
    out = tmp_path / "out.csv"
    told = qing("predict", "--file", source, "--out", out, check=False)
    assert told.returncode == 1 and f"{source}:3: 3 fields where the header has 2" in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.tsv"]
    told = qing("predict", "--file", source, "--out", out, "--bad-rows", "skip").stderr
    assert f"skipped {source}:3: 3 fields" in told and "1 row was skipped" in told
    assert [row["text"] for row in read_csv(out)] == ["great film", "awful film"]
    assert f"{source}:3: " in qing("eval", "--data", source, check=False).stderr
    report = json.loads(qing("eval", "--data", source, "--bad-rows", "skip", "--json").stdout.splitlines()[-1])
    assert report["examples"] == 2
    told = qing(*small_training(source, tmp_path / "m", "--bad-rows", "skip", "--max-steps", 1)).stderr
    assert "1 row was skipped" in told and 'bad-rows = "skip"' in (tmp_path / "m/run/config.toml").read_text()


def test_train_and_eval_read_what_predict_reads(qing, tmp_path):
    source = tmp_path / "filme.csv"
    source.write_bytes(quoted_table(CHINESE * 4, ";", header=("情感", "评论")).encode("gb18030"))
    said = qing(*small_training(source, tmp_path / "m", "--max-steps", 1)).stderr
    assert f"reading {source} as CSV separated by ';', GB 18030, text '评论', label '情感'" in said
    told = qing("eval", "--model", tmp_path / "m", "--data", source, "--label-column", "评论", check=False)
    assert told.returncode == 1 and f"{source}:1: " in told.stderr
    printed = qing("predict", "--file", source, "--json").stdout.splitlines()
    assert [json.loads(line)["text"] for line in printed] == [text for _, text in CHINESE * 4]
    assert "unknown encoding 'klingon'" in qing("eval", "--data", source, "--encoding", "klingon", check=False).stderr
    assert qing("eval", "--data", source, "--delimiter", "ab", check=False).returncode == 2


def test_predict_prints_a_line_a_row(qing, tmp_path):
    source = tmp_path / "x.csv"
    source.write_text(quoted_table(ROWS, ","), encoding="utf-8", newline="")
    lines = qing("predict", "--file", source).stdout.splitlines()
    assert [line.split("\t", 2)[2] for line in lines] == [" ".join(text.split("\n")).replace("\t", " ") for _, text in ROWS]
    assert len(qing("explain", "--json", "--file", source).stdout.splitlines()) == len(ROWS)


def test_eval_lists_the_worst_errors_and_writes_rows(qing, tmp_path):
    first = write_tsv(tmp_path / "a.tsv", [("negative", "I love this film"), ("positive", "what a wonderful film")])
    second = write_tsv(tmp_path / "b.tsv", [("positive", "I hate this awful film"), ("negative", "I hate this film")])
    out = tmp_path / "rows.csv"
    result = qing("eval", "--data", first, "--data", second, "--out", out, "--json", "--worst", 5)
    worst = json.loads(result.stdout.splitlines()[-1])["worst"]
    assert {(one["file"], one["line"], one["predicted"]) for one in worst} == {("a.tsv", 2, "positive"), ("b.tsv", 2, "negative")}
    assert worst[0]["score"] >= worst[1]["score"] and "worst errors" in result.stdout and "a.tsv:2: I love this film" in result.stdout
    rows = read_csv(out)
    assert list(rows[0]) == ["file", "line", "source", "text", "label", "predicted_label", "correct", "score", "loss", *SCORES]
    assert [(row["file"], row["line"], row["correct"]) for row in rows] == [
        ("a.tsv", "2", "false"), ("a.tsv", "3", "true"), ("b.tsv", "2", "false"), ("b.tsv", "3", "true")]
    for row, answer in zip(rows, predicted(qing, [row["text"] for row in rows])):
        assert row["predicted_label"] == answer["label"]
        for label in LABELS:
            assert float(row[f"score_{label}"]) == pytest.approx(answer["scores"][label], abs=1e-5)
    assert "worst errors" not in qing("eval", "--data", first, "--worst", 0).stdout
    assert qing("eval", "--data", first, "--out", tmp_path / "rows.pdf", check=False).returncode == 2


def test_a_closed_pipe_ends_predict_quietly(qing, tmp_path):
    source = write_tsv(tmp_path / "many.tsv", [("x", f"film number {i}") for i in range(5000)])
    shell = f"'{qing.binary}' predict --file '{source}' | head -n 2"
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
    assert len(result.stdout.splitlines()) == 2 and result.stderr == ""


@pytest.mark.parametrize("suffix", ["csv", "json", "xlsx"])
def test_a_killed_prediction_goes_on(qing, tmp_path, suffix):
    source = write_tsv(tmp_path / "many.tsv", [("x", f"film {i} is good, or bad") for i in range(60000)])
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
    part, notes = tmp_path / f"out.{suffix}.part", tmp_path / f"out.{suffix}.part.json"
    process = subprocess.Popen([qing.binary, "predict", "--file", source, "--out", out], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and not (notes.exists() and json.loads(notes.read_text())["rows"] > 0):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = json.loads(notes.read_text())["rows"]
    assert 0 < done < 60000 and not out.exists()
    with open(part, "ab") as file:
        file.write(b"half a row")
    said = qing("predict", "--file", source, "--out", out).stderr
    assert f"going on after {done} rows" in said and "60000 rows" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.tsv", out.name]
    if suffix == "csv":
        qing("predict", "--file", source, "--out", whole)
        assert out.read_bytes() == whole.read_bytes()
    elif suffix == "json":
        rows = json.loads(out.read_text())
        assert [row["text"] for row in rows] == [f"film {i} is good, or bad" for i in range(60000)]
    else:
        rows = sheet_rows(out)
        assert len(rows) == 60001 and [row["B"] for row in rows[1:]] == [f"film {i} is good, or bad" for i in range(60000)]


def test_a_part_of_another_file_is_not_used(qing, tmp_path):
    source, out = write_tsv(tmp_path / "in.tsv", PLAIN), tmp_path / "out.csv"
    (tmp_path / "out.csv.part").write_text("not a table")
    (tmp_path / "out.csv.part.json").write_text(json.dumps({"task": "another", "rows": 1, "bytes": 5}))
    assert "going on" not in qing("predict", "--file", source, "--out", out).stderr
    assert [row["text"] for row in read_csv(out)] == [text for _, text in PLAIN]
    told = qing("predict", "--file", source, "--out", source, check=False)
    assert told.returncode == 2 and "give another one" in told.stderr
    told = qing("predict", "--file", source, "--out", tmp_path / "out.parquet", check=False)
    assert told.returncode == 2 and ".csv, .tsv, .jsonl, .json, .txt or .xlsx" in told.stderr


def test_a_workbook_holds_what_its_cells_can(qing, tmp_path):
    source = write_tsv(tmp_path / "in.tsv", [("x", "long " * 7000)])
    told = qing("predict", "--file", source, "--out", tmp_path / "out.xlsx", check=False)
    assert told.returncode == 1 and f"{source}:2: the column 'text' has 35000 characters" in told.stderr
    values = ["7", "007", "-1.5", "1e5", "123456789012", "=1+1", "_x0041_", "bell \x07", "+49"]
    source.write_text("text\n" + "".join(value + "\n" for value in values))
    qing("predict", "--file", source, "--out", tmp_path / "out.xlsx")
    cells = [row["A"] for row in sheet_rows(tmp_path / "out.xlsx")[1:]]
    assert cells[:6] == [7.0, "007", -1.5, "1e5", "123456789012", "=1+1"] and cells[8] == "+49"
    qing("predict", "--file", tmp_path / "out.xlsx", "--out", tmp_path / "back.jsonl")
    back = [json.loads(line)["text"] for line in (tmp_path / "back.jsonl").read_text().splitlines()]
    assert back == values


def test_memory_does_not_grow_with_the_rows(qing, tmp_path):
    def peak(rows):
        source = write_tsv(tmp_path / f"{rows}.tsv", [("x", f"film {i}") for i in range(rows)])
        command = [qing.binary, "predict", "--file", source, "--out", tmp_path / f"{rows}.csv"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_maxrss

    few, many = peak(2000), peak(40000)
    assert many < few + 8000, (few, many)  # KiB


def test_data_shows_what_a_file_holds(qing, tmp_path):
    rows = [("positive", f"good film number {i}") for i in range(30)] + [("negative", f"bad film number {i}") for i in range(30)]
    rows += [("positive", "good film number 1"), ("negative", "good film number 2"), ("neutral", "很一般的电影"), ("", "nothing"), ("negative", " ")]
    source = write_tsv(tmp_path / "train.tsv", rows)
    with open(source, "a") as file:
        file.write("one field\n")
    dev = write_tsv(tmp_path / "dev.tsv", [("positive", "good film number 3"), ("joyful", "new film")])
    report = json.loads(qing("data", source, "--dev", dev, "--json").stdout)
    one = report["files"][0]
    assert (one["rows"], one["bad_rows"], one["empty_rows"], one["unlabelled"]) == (65, 1, 1, 1)
    assert one["labels"] == {"negative": 31, "neutral": 1, "positive": 31}
    assert (one["duplicates"], one["contradictions"]) == (1, 1)
    assert one["contradicting"] == [{"lines": [4, 63], "labels": ["positive", "negative"]}]
    assert one["scripts"] == {"chinese": 1, "latin": 63} and one["characters"]["least"] == 6
    assert one["columns"][0] == {"name": "label", "examples": ["positive", "negative", "neutral"], "empty": 1}
    assert one["errors"][0]["line"] == 67 and one["text_column"] == "text"
    warnings = "\n".join(report["warnings"])
    for part in ("1 row cannot be read", "1 row without a text", "1 row without a label", "another label",
                 "the label 'neutral' has only 1 row", f"1 of 2 texts of {dev} are also in {source}",
                 "no training row has the label 'joyful'"):
        assert part in warnings, part
    printed = qing("data", source, "--dev", dev).stdout
    assert "text (text): good film number 0 | good film number 1" in printed and "lines 4 and 63: 'positive' and 'negative'" in printed


def test_data_warns_of_what_cannot_be_trained_on(qing, tmp_path):
    one = write_tsv(tmp_path / "one.tsv", [("positive", f"film {i}") for i in range(20)])
    copy = write_tsv(tmp_path / "copy.tsv", [("positive", f"film {i}") for i in range(20)])
    warnings = "\n".join(json.loads(qing("data", one, "--dev", copy, "--json").stdout)["warnings"])
    assert "all rows have one label, 'positive'" in warnings and f"{copy} has the same texts as {one}" in warnings
    ids = write_tsv(tmp_path / "ids.tsv", [(f"id-{i}", f"film {i}") for i in range(20)])
    assert "is 'label' the column of the labels?" in qing("data", ids).stdout
    plain = tmp_path / "plain.txt"
    plain.write_text("a film\n")
    assert "no column of labels was found" in qing("data", plain).stdout
    model = qing("data", one, "--model", ROOT / "serve/models/emotion_analysis/1", "--json")
    assert json.loads(model.stdout)["files"][0]["tokens"]["least"] >= 3





def test_one_combination_of_labels_is_enough(qing, tmp_path):
    data = tmp_path / "d.csv"
    labels = ["praise", "toxic", "toxic|threat", ""] * 15
    data.write_text("text,label\n" + "".join(f"text {i},{label}\n" for i, label in enumerate(labels)))
    assert "train with --multi-label 1" in qing("data", data).stdout
    refused = qing("train", "--data", data, "--out", tmp_path / "m", check=False)
    assert refused.returncode == 1 and "'toxic|threat': --multi-label 1 learns any number of labels" in refused.stderr
    data.write_text(data.read_text().replace("|", "/"))
    assert "several labels" not in qing("data", data).stdout
    seen = json.loads(qing("data", data, "--label-separator", "/", "--json").stdout)
    assert seen["files"][0]["label_sets"]["separator"] == "/" and seen["files"][0]["label_sets"]["labels"]["threat"] == 15
    assert any("--multi-label 1 --label-separator '/'" in warning for warning in seen["warnings"])
    words = ["train", "--data", data, "--label-separator", "/", "--layers", 1, "--width", 32, "--max-steps", 1, "--out", tmp_path / "m"]
    assert "--label-separator: trains several labels, as --multi-label 1 does" in qing(*words).stderr
    refused = qing(*words, "--multi-label", 0, "--overwrite", check=False)
    assert refused.returncode == 2 and "--label-separator: is for several labels a text" in refused.stderr
    single = qing("eval", "--data", data, "--label-separator", "/", check=False)
    assert single.returncode == 2 and "--label-separator: a single-label model" in single.stderr


def test_blanks_around_names_of_a_header_do_not_count(qing, tmp_path):
    data = tmp_path / "d.csv"
    data.write_text(" Text , Label \ngood,positive\nbad,negative\n")
    assert "Text (text)" in qing("data", data).stdout and "Label (label)" in qing("data", data).stdout
    inline = tmp_path / "d.xlsx"
    rows = [(" Text ", "Label "), ("good", "positive"), ("bad", "negative")]
    inline.write_bytes(workbook({"Sheet1": ("visible", inline_rows(rows))}))
    assert "Text (text)" in qing("data", inline).stdout


def test_a_column_that_is_named_wrongly_is_told(qing, tmp_path):
    data = tmp_path / "messy.csv"
    data.write_text("Review,stars\ngood,5\nbad,1\n")
    for command in (["data", data], ["train", "--data", data, "--out", tmp_path / "m", "--regression", 1]):
        told = qing(*command, "--label-column", "Review", check=False)
        assert told.returncode == 1 and "the column 'Review' cannot hold both the texts and the labels" in told.stderr, told.stderr
        assert "--text-column" in told.stderr and "--label-column" in told.stderr
    assert "there is no column 'Stars2', which --label-column names" in qing("data", data, "--label-column", "Stars2").stdout
    told = qing("train", "--data", data, "--out", tmp_path / "m", "--label-column", "Stars2", check=False)
    assert "no column 'Stars2' in the header, which has: 'Review', 'stars'; name the column with --label-column" in told.stderr
    told = qing("train", "--data", data, "--out", tmp_path / "m", "--text-column", "words", check=False)
    assert "name the column with --text-column" in told.stderr
