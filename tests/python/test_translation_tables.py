"""`qing translate --out` and `qing eval` of translators: tables of translations, and their scores."""

import csv
import itertools
import json
import shutil
import subprocess
import time

import pytest
from test_translate_route import save_model, sentence

sacrebleu = pytest.importorskip("sacrebleu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("translator"), num_beams=1)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path, columns, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_a_table_gets_the_translations_in_order(qing, model, tmp_path):
    texts = [sentence(1 + i % 12, i) for i in range(150)] + ["", "w1\nw2 w3", "  ", 'w4 "w5", w6']
    source = write(tmp_path / "in.csv", ["id", "text", "score"], [(i, text, "x") for i, text in enumerate(texts)])
    options = ("--max-tokens", 12, "--beam", 2)
    told = qing("translate", "--model", model, "--file", source, "--out", tmp_path / "out.csv", *options)
    assert "the added one is 'predicted_score'" in told.stderr
    rows = read(tmp_path / "out.csv")
    assert [row["id"] for row in rows] == [str(i) for i in range(len(texts))]
    assert [row["text"] for row in rows] == texts and {row["score"] for row in rows} == {"x"}
    lines = qing("translate", "--model", model, "--file", source, "--json", *options).stdout.split("\n")
    found = [json.loads(line) for line in lines if line]
    for row, one in zip(rows, found):
        if one["text"].strip():
            assert row["translation"] == one["translation"] and int(row["tokens"]) == one["tokens"]
            assert float(row["predicted_score"]) == pytest.approx(one["score"], rel=1e-6)
            assert row["complete"] == str(one["complete"]).lower()
        else:
            assert row["translation"] == row["tokens"] == ""
    for suffix in ("jsonl", "tsv", "xlsx"):
        qing("translate", "--model", model, "--file", source, "--out", tmp_path / f"out.{suffix}", *options)
    shown = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n") if line]
    assert [one["translation"] or "" for one in shown] == [row["translation"] for row in rows]
    assert shown[0]["complete"] in (True, False) and isinstance(shown[0]["tokens"], int)


def test_a_killed_translation_goes_on(qing, model, tmp_path):
    texts = [sentence(20, i) for i in range(2400)]
    source, out = write(tmp_path / "in.csv", ["text"], [(text,) for text in texts]), tmp_path / "out.csv"
    arguments = ["translate", "--model", model, "--file", source, "--out", out, "--beam", 4, "--max-tokens", 30]
    qing(*arguments[:6], tmp_path / "whole.csv", *arguments[7:])
    notes, begun = tmp_path / "out.csv.part.json", time.monotonic()
    process = subprocess.Popen([qing.binary, *map(str, arguments)], stderr=subprocess.DEVNULL)
    while not (notes.exists() and json.loads(notes.read_text() or "{}").get("rows", 0) > 60):
        assert process.poll() is None and time.monotonic() - begun < 120, "nothing was written before the end"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not out.exists()
    # Another search is another task: its output does not go on with this one's.
    other = tmp_path / "other"
    other.mkdir()
    for name in ("out.csv.part", "out.csv.part.json"):
        (other / name).write_bytes((tmp_path / name).read_bytes())
    told = qing(*arguments[:6], other / "out.csv", "--beam", 1, "--max-tokens", 30)
    assert "going on" not in told.stderr
    told = qing(*arguments)
    assert "qing: going on after " in told.stderr
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes() and not notes.exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (("--out", "out.csv", "a"), "--out needs --file"),
    (("--file", "in.csv", "--out", "out.csv", "a"), "give no other texts"),
    (("--file", "in.csv", "--out", "out.csv", "--json"), "leave --json out"),
    (("--file", "in.csv", "--out", "out.doc"), "out.doc"),
    (("--file", "in.csv", "--out", "in.csv"), "give another one"),
])  # fmt: skip
def test_what_cannot_be_written_is_refused(qing, model, tmp_path, arguments, message):
    write(tmp_path / "in.csv", ["text"], [("w1",)])
    arguments = [tmp_path / each if "." in each else each for each in arguments]
    told = qing("translate", "--model", model, *arguments, check=False)
    assert told.returncode != 0 and message in told.stderr, told.stderr
    assert not (tmp_path / "out.csv").exists() and not (tmp_path / "out.csv.part").exists()


# Translations of three words are too short for BLEU's n-grams of four.
@pytest.mark.parametrize("words", [3, 9])
def test_scores_are_those_of_sacrebleu(qing, model, tmp_path, words):
    shutil.copytree(model, tmp_path / "model")
    model = tmp_path / "model"
    settings = json.loads((model / "generation_config.json").read_text())
    (model / "generation_config.json").write_text(json.dumps(settings | {"max_new_tokens": words}))
    texts = [sentence(1 + i % 12, i) for i in range(80)]
    lines = qing("translate", "--model", model, "--beam", 1, "--json", "--", *texts).stdout.split("\n")
    translations = [json.loads(line)["translation"] for line in lines if line]
    # Some references are the translation, some are a part of it, and some have nothing of it.
    targets = [
        (text, " ".join(text.split()[: 1 + i % 9]) + " w1 w2", sentence(5, i))[i % 3] if text else "w1"
        for i, text in enumerate(translations)
    ]
    assert max(len(text.split()) for text in translations) == words
    every, rows = list(zip(texts, targets)), {}
    for name, part in (("one.tsv", slice(0, 40)), ("two.tsv", slice(40, 80))):
        rows[name] = every[part]
        lines = ["en\tzh", *("\t".join(pair) for pair in rows[name])]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = [part for name in rows for part in ("--data", tmp_path / name)]
    told = qing("eval", "--model", model, *files, "--out", tmp_path / "out.csv", "--json", "--worst", 3, "--beam", 1)
    found = json.loads(told.stdout.strip().split("\n")[-1])
    table = read(tmp_path / "out.csv")
    assert [(row["source"], row["target"]) for row in table] == every
    assert [(row["file"], row["line"]) for row in table[:2]] == [("one.tsv", "2"), ("one.tsv", "3")]
    assert [row["translation"] for row in table] == translations
    bleu, chrf = sacrebleu.BLEU(tokenize="zh"), sacrebleu.CHRF()
    for scores, part in [(found, slice(0, 80)), (found["files"][0], slice(0, 40)), (found["files"][1], slice(40, 80))]:
        references = [target for _, target in every[part]]
        assert scores["sentences"] == len(references)
        assert scores["bleu"] == pytest.approx(bleu.corpus_score(translations[part], [references]).score, abs=1e-6)
        assert scores["chrf"] == pytest.approx(chrf.corpus_score(translations[part], [references]).score, abs=1e-6)
        assert scores["bleu_interval"][0] <= scores["bleu"] <= scores["bleu_interval"][1]
    assert "tok:zh" in found["bleu_signature"] and found["chrf"] > 0
    sentence_bleu = sacrebleu.BLEU(tokenize="zh", effective_order=True)
    for row, (_, target), translation in zip(table, every, translations):
        assert float(row["chrf"]) == pytest.approx(chrf.sentence_score(translation, [target]).score, abs=1e-6)
        expected = sentence_bleu.sentence_score(translation, [target]).score
        assert float(row["bleu"]) == pytest.approx(expected, abs=1e-6)
    lowest = sorted(float(row["chrf"]) for row in table)[:3]
    assert [one["chrf"] for one in found["worst"]] == pytest.approx(lowest)
    for part in ("one.tsv\t40 sentences\tBLEU ", "all files\t80 sentences", "translations of the lowest chrF:"):
        assert part in told.stdout


def test_the_languages_choose_the_columns(qing, model, tmp_path):
    """A model of one direction, which is not that of the columns' order."""
    (tmp_path / "pairs.tsv").write_text("en\tzh\tde\nw1 w2\tw3 w4\tw5 w6\n", encoding="utf-8")
    columns = [*itertools.permutations(("en", "zh", "de"), 2)]
    for source, target in columns:
        told = qing("eval", "--model", model, "--data", tmp_path / "pairs.tsv", "--from", source, "--to", target, check=False)
        assert f"source '{source}', target '{target}'" in told.stderr, (source, target)
    (tmp_path / "two.tsv").write_text("en\tzh\nw1 w2\tw3 w4\n", encoding="utf-8")
    for one, told in ((("--from", "zh"), "source 'zh', target 'en'"), (("--to", "en"), "source 'zh', target 'en'"),
                      (("--to", "zh"), "source 'en', target 'zh'"), (("--from", "de"), "source 'en', target 'zh'")):  # fmt: skip
        assert told in qing("eval", "--model", model, "--data", tmp_path / "two.tsv", *one, check=False).stderr


@pytest.mark.parametrize(("arguments", "message"), [
    (("--confusion", "c.svg"), "are for classifiers"),
    (("--reference",), "are for classifiers"),
    (("--map", "a=b"), "are for classifiers"),
    (("--source-column", "german"), "german"),
    (("--to", "tlh"), "tlh"),
    (("--out", "out.doc"), "out.doc"),
])  # fmt: skip
def test_what_does_not_fit_a_translator_is_refused(qing, model, tmp_path, arguments, message):
    (tmp_path / "in.tsv").write_text("en\tzh\nw1\tw2\n")
    arguments = [tmp_path / each if "." in each else each for each in arguments]
    told = qing("eval", "--model", model, "--data", tmp_path / "in.tsv", *arguments, check=False)
    assert told.returncode != 0 and message in told.stderr and not told.stdout, told.stderr


def test_options_of_translators_are_refused_for_classifiers(qing, tmp_path):
    (tmp_path / "in.tsv").write_text("text\tlabel\nw1\tpositive\n")
    told = qing("eval", "--data", tmp_path / "in.tsv", "--to", "zh", check=False)
    assert told.returncode != 0 and "are for translators" in told.stderr
