"""`qing compare A B --data F`: McNemar's test, paired intervals, groups, the chart."""

import json
import re
import xml.etree.ElementTree as tree

import pytest
from conftest import small_training, synthetic_rows, write_tsv

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def weak(qing, tiny_data, tmp_path_factory):
    """Barely trained, and with its labels in another order."""
    out = tmp_path_factory.mktemp("weak") / "weak"
    qing(*small_training(tiny_data, out, "--epochs", 2, "--lr", 3e-3, "--labels", "positive,negative,neutral"))
    return out


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    rows = synthetic_rows(300, seed=11)
    file = tmp_path_factory.mktemp("texts") / "texts.tsv"
    lines = [f"{label}\t{'shop' if i % 3 else 'tweets & co'}\t{i % 2}\t{text}\n" for i, (label, text) in enumerate(rows)]
    file.write_text("label\tsource\tparity\ttext\n" + "".join(lines), encoding="utf-8")
    return file


def predicted(qing, model, file):
    texts = [line.split("\t")[3] for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    answers = qing("predict", "--model", model, "--json", input="\n".join(texts) + "\n").stdout.splitlines()
    return [json.loads(answer)["label"] for answer in answers]


def mcnemar(only_first, only_second):
    """The exact two-sided p-value, by sums of binomial coefficients."""
    from math import comb

    n, fewer = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(comb(n, i) for i in range(fewer + 1)) / 2**n)


def test_the_figures_are_those_of_the_predictions(qing, model_dir, weak, texts, tmp_path):
    result = qing("compare", weak, model_dir, "--data", texts, "--json", "--chart", tmp_path / "c.svg")
    found = json.loads(result.stdout.splitlines()[-1])["comparison"]
    rows = [line.split("\t") for line in texts.read_text(encoding="utf-8").splitlines()[1:]]
    first, second = predicted(qing, weak, texts), predicted(qing, model_dir, texts)

    def check(group, keep):
        chosen = [i for i, row in enumerate(rows) if keep(row)]
        right = [(first[i] == rows[i][0], second[i] == rows[i][0]) for i in chosen]
        only = [sum(a and not b for a, b in right), sum(b and not a for a, b in right)]
        assert [group["texts"], group["only_before_right"], group["only_after_right"]] == [len(chosen), *only]
        assert group["accuracy"]["before"] == pytest.approx(sum(a for a, _ in right) / len(right))
        assert group["accuracy"]["after"] == pytest.approx(sum(b for _, b in right) / len(right))
        assert group["p_value"] == pytest.approx(mcnemar(*only), rel=1e-9)
        low, high = group["accuracy"]["difference_interval"]
        assert low <= group["accuracy"]["after"] - group["accuracy"]["before"] <= high

    check(found["all"], lambda row: True)
    assert found["all"]["only_after_right"] > 20, "choose a weaker model"
    for group in found["per_label"]:
        check(group, lambda row: row[0] == group["name"])
    assert [group["name"] for group in found["per_source"]] == ["shop", "tweets & co"]
    for group in found["per_source"]:
        check(group, lambda row: row[1] == group["name"])
    scores = [json.loads(qing("eval", "--model", m, "--data", texts, "--json").stdout.splitlines()[-1]) for m in (weak, model_dir)]
    for name in ("macro_recall", "macro_f1"):
        assert [found[name]["before"], found[name]["after"]] == pytest.approx([score[name] for score in scores])
    assert "B is better in accuracy (p < 0.0001)" in result.stdout
    root = tree.parse(tmp_path / "c.svg").getroot()
    words = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert {"accuracy", "macro recall", "macro F1", "shop", "tweets & co", "negative", "positive"} <= set(words)
    tips = [element.find(f"{SVG}title").text for element in root.iter(f"{SVG}circle")]
    assert len(tips) == 3 + 2 + 3
    difference = 100 * (found["all"]["accuracy"]["after"] - found["all"]["accuracy"]["before"])
    low, high = (100 * bound for bound in found["all"]["accuracy"]["difference_interval"])
    assert tips[0] == f"accuracy: {difference:+.2f}, {low:+.2f} to {high:+.2f}"
    width = float(root.get("width"))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx")) <= width


def test_a_model_beside_itself_differs_in_nothing(qing, model_dir, texts):
    result = qing("compare", model_dir, model_dir, "--data", texts, "--json")
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["corrected_p_value"] == 1 and found["comparison"]["all"]["p_value"] == 1
    assert found["comparison"]["macro_f1"]["difference_interval"] == [0, 0]
    assert "No difference beyond chance" in result.stdout


def test_groups_by_another_column(qing, model_dir, weak, texts):
    result = qing("compare", weak, model_dir, "--data", texts, "--source-column", "parity", "--json")
    found = json.loads(result.stdout.splitlines()[-1])["comparison"]
    assert [group["name"] for group in found["per_source"]] == ["0", "1"]


def test_labels_of_the_file_are_mapped(qing, model_dir, weak, texts, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text(re.sub(r"(?m)^positive", "pos", texts.read_text(encoding="utf-8")), encoding="utf-8")
    refused = qing("compare", weak, model_dir, "--data", other, check=False)
    assert refused.returncode == 1 and f"{other}:" in refused.stderr and "--map pos=positive" in refused.stderr
    same, mapped = (qing("compare", weak, model_dir, "--data", *data).stdout for data in ([texts], [other, "--map", "pos=positive"]))
    assert same.replace(texts.name, other.name) == mapped


def test_refusals(qing, model_dir, texts, tmp_path):
    data = write_tsv(tmp_path / "d.tsv", [("yes", "good"), ("no", "bad")] * 4)
    qing(*small_training(data, tmp_path / "m", "--max-steps", 1))
    result = qing("compare", "shipped", tmp_path / "m", "--data", texts, check=False)
    assert result.returncode == 2 and "negative, neutral, positive, and no, yes" in result.stderr
    result = qing("compare", model_dir, tmp_path / "none", "--data", texts, check=False)
    assert result.returncode == 1 and str(tmp_path / "none") in result.stderr
    assert qing("compare", model_dir, "--data", texts, check=False).returncode == 2
