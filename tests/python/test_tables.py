"""Realistic tables, lists and configurations are read correctly, or refused with the place and a remedy."""

import json
import subprocess

import pytest
from conftest import small_training, write_tsv

BOM = "\ufeff"


def refusal(qing, *arguments, code=1, **options):
    result = qing(*arguments, check=False, **options)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stderr


@pytest.mark.parametrize(
    "name, content, place, what",
    [
        ("a.csv", "label,text,text\npositive,good,awful\n", ":1: ", "'text' appears twice"),
        ("a.tsv", "label\tlabel\ttext\npositive\tnegative\tgood\n", ":1: ", "'label' appears twice"),
        ("a.jsonl", '{"label": "positive", "label": "negative", "text": "good"}\n', ":1: ", "'label' appears twice"),
        ("a.tsv", "label\ttext\npositive\t   \n", ":2: ", "blank"),
        ("a.tsv", "label\ttext\npositive\t\u3000\u200b\u00a0\n", ":2: ", "blank"),
    ],
)
def test_eval_refuses_ambiguous_tables_and_blank_texts(qing, tmp_path, name, content, place, what):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    told = refusal(qing, "eval", "--data", path)
    assert f"{path}{place}" in told and what in told


def test_eval_reads_upper_case_suffixes(qing, tmp_path):
    path = write_tsv(tmp_path / "UPPER.TSV", [("positive", "good")])
    assert json.loads(qing("eval", "--data", path, "--json").stdout.splitlines()[-1])["examples"] == 1


def test_eval_tells_files_of_one_name_apart(qing, tmp_path):
    for folder, rows in (("A", [("positive", "love it"), ("negative", "hate it")]), ("B", [("neutral", "the table")])):
        (tmp_path / folder).mkdir()
        write_tsv(tmp_path / folder / "dev.tsv", rows)
    other = write_tsv(tmp_path / "other.tsv", [("positive", "good")])
    a, b = tmp_path / "A/dev.tsv", tmp_path / "B/dev.tsv"
    report = json.loads(qing("eval", "--data", a, "--data", b, "--data", other, "--json").stdout.splitlines()[-1])
    counts = {source: one["examples"] for source, one in report["per_source"].items()}
    assert counts == {str(a): 2, str(b): 1, "other.tsv": 1}
    assert "same file" in refusal(qing, "eval", "--data", a, "--data", tmp_path / "B/../A/dev.tsv", code=2)


def test_the_card_tells_files_of_one_name_apart(qing, tiny_data, tmp_path):
    dev = tmp_path / "dev" / tiny_data.name
    dev.parent.mkdir()
    write_tsv(dev, [("positive", "good"), ("negative", "bad")])
    qing(*small_training(tiny_data, tmp_path / "m", "--dev", dev, "--max-steps", 1))
    card = (tmp_path / "m/README.md").read_text(encoding="utf-8").replace("\\_", "_")
    assert f"| {dev} | model selection and evaluation | 2 |" in card and f"| {tiny_data} | training | 600 |" in card


def test_predict_leaves_no_byte_order_mark_in_a_text(qing, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text(f"{BOM}good film\nsecond {BOM}\n", encoding="utf-8")
    expected = ["good film", f"second {BOM}"]
    lines = qing("predict", "--json", "--file", path).stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == expected
    lines = qing("predict", "--json", input=path.read_text(encoding="utf-8")).stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == expected


def test_a_text_without_tokens_says_so(qing):
    blank, word = (json.loads(line) for line in qing("predict", "--json", "--logits", " \u3000\u200b", "x").stdout.splitlines())
    [empty] = map(json.loads, qing("predict", "--json", "--logits", "").stdout.splitlines())
    assert blank["blank"] is True and "blank" not in word
    assert blank["logits"] == empty["logits"] and empty["blank"] is True
    lines = qing("predict", " \u3000\u200b", "x").stdout.split("\n")
    assert lines[1] == "\tthe text gives no token; the scores are those of an empty text" and lines[2].endswith("\tx")


def test_a_configuration_file_may_have_a_byte_order_mark_but_no_duplicate_key(qing, tiny_data, tmp_path):
    config = tmp_path / "train.toml"
    config.write_text(f"{BOM}max-steps = 1\n", encoding="utf-8")
    qing(*small_training(tiny_data, tmp_path / "m", "--config", config))
    config.write_text("layers = 1\n[train]\nlayers = 2\n")
    out = tmp_path / "n"
    told = refusal(qing, "train", "--config", config, "--data", tiny_data, "--out", out, code=2)
    assert "layers: appears twice" in told and not out.exists()


@pytest.mark.parametrize("label", ["\u200b", " ", BOM])
def test_invisible_labels_are_refused(qing, tiny_data, tmp_path, label):
    told = refusal(qing, "train", "--labels", f"good,{label}", "--data", tiny_data, "--out", tmp_path / "m", code=2)
    assert "--labels: label 1" in told


def test_a_model_configuration_with_a_duplicate_name_is_refused(qing, model_dir, tmp_path):
    subprocess.run(["cp", "-r", model_dir, tmp_path / "m"], check=True)
    config = tmp_path / "m/config.json"
    good = config.read_text()
    config.write_text(BOM + good, encoding="utf-8")
    assert qing("predict", "--model", tmp_path / "m", "good").stdout
    config.write_text(good.replace('"hidden_size":', '"hidden_size":32,"hidden_size":', 1))
    for command in (["predict", "--model", tmp_path / "m", "x"], ["info", "--model", tmp_path / "m"]):
        told = refusal(qing, *command)
        assert "config.json: the name 'hidden_size' appears twice" in told


def test_common_wrong_files_are_refused_with_a_remedy(qing, tmp_path):
    cases = {
        "reviews.csv": (b"id,review,points\r\n1,good,5\r\n", ":1: no column 'label'", "name the column with --label-column"),
        "stars.jsonl": (b'{"text": "good", "label": 2}\n', ":1: unknown label '2'", "use one of negative, neutral, positive"),
        "several.jsonl": (b'{"text": "good", "label": ["positive", "films"]}\n', ":1: field 'label'", "give one string"),
        "several.csv": (b"text,label\ngood,positive|films\n", ":2: unknown label 'positive|films'", "use one of"),
        "nested.jsonl": (b'{"review": {"text": "good"}, "label": "positive"}\n', ":1: no field 'text'", "has: 'review', 'label'"),
        "array.json": (b'[{"text": "good", "label": "positive"}', ":1: the list never ends", "download the file again"),
        "table.xls": (b"\xd0\xcf\x11\xe0", ": is an old or encrypted workbook", "save it as .xlsx"),
    }  # fmt: skip
    for name, (content, what, remedy) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        told = refusal(qing, "eval", "--data", path)
        assert f"{path}{what}" in told and remedy in told, told
