"""The reports of `qing train` and `qing eval`: charts, the model card, calibration, intervals."""

import json
import math
import re
import subprocess
import xml.etree.ElementTree as tree

import pytest
from conftest import small_training, synthetic_rows, write_tsv

SVG = "{http://www.w3.org/2000/svg}"
SOURCES = ["tweets & <co>", "shop"]


def rows_with_sources(count, seed, noise):
    """Every noise-th label is wrong, so that no model is correct on all texts."""
    labels = ["negative", "neutral", "positive"]
    for i, (label, text) in enumerate(synthetic_rows(count, seed)):
        label = labels[(labels.index(label) + 1) % 3] if i % noise == 0 else label
        yield f"{label}\t{SOURCES[i % 2]}\t{text}\n"


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev")
    for name, count, seed in (("first.tsv", 150, 6), ("second.tsv", 90, 7)):
        (folder / name).write_text("label\tsource\ttext\n" + "".join(rows_with_sources(count, seed, 5)), encoding="utf-8")
    return [folder / "first.tsv", folder / "second.tsv"]


@pytest.fixture(scope="module")
def trained(qing, tiny_data, dev, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "my_model"
    options = ["--dev", dev[0], "--dev", dev[1], "--epochs", 8, "--batch", 16, "--lr", 3e-3, "--eval-every", 60]
    qing(*small_training(tiny_data, out, *options))
    return out


@pytest.fixture(scope="module")
def scores(qing, trained, dev):
    """The result of eval for each dev set."""
    return [json.loads(qing("eval", "--model", trained, "--data", path, "--json").stdout.splitlines()[-1]) for path in dev]


def texts_of(svg):
    return ["".join(element.itertext()) for element in tree.parse(svg).getroot().iter(f"{SVG}text")]


def test_the_confusion_matrices_equal_evals(trained, scores, dev):
    found = texts_of(trained / "run/confusion.svg")
    for path, score in zip(dev, scores):
        assert path.name in found
        assert f"{score['examples']} texts, accuracy {100 * score['accuracy']:.1f}%, macro-recall {100 * score['macro_recall']:.1f}%" in found
    cells = [(int(a), b) for a, b in zip(found, found[1:]) if a.isdigit() and b.endswith("%")]
    expected = [(n, f"{100 * n / sum(row):.1f}%") for score in scores for row in score["confusion"] for n in row]
    assert cells == expected


def test_the_curves_show_the_metrics(trained):
    root = tree.parse(trained / "run/loss.svg").getroot()
    lines = [json.loads(line) for line in (trained / "run/metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["type"] == "step"]
    raw, smooth, *recalls = [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]
    assert len(raw) == len(smooth) == len(losses) == 304 and len(recalls) == 2
    # Heights equal the losses up to an origin and a scale.
    first, last = (max(losses), min(losses))
    top, bottom = min(y for _, y in raw), max(y for _, y in raw)
    for (_, y), loss in zip(raw, losses):
        assert y == pytest.approx(top + (first - loss) / (first - last) * (bottom - top), abs=0.11)
    tips = [element.text for element in root.iter(f"{SVG}title")]
    for line in lines:
        for one in line.get("dev", []):
            assert f"{one['name']}, step {line['step']}: {100 * one['macro_recall']:.2f}" in tips


def test_the_card_holds_the_figures_of_eval(trained, scores, tiny_data):
    card = (trained / "README.md").read_text(encoding="utf-8")
    assert "# my\\_model" in card
    digest = subprocess.run(["sha256sum", tiny_data], capture_output=True, text=True, check=True).stdout.split()[0]
    assert digest in card

    def shown(value, interval):
        return f"{100 * value:.2f} ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})"

    for score in scores:
        for name in ("accuracy", "macro_recall", "macro_f1"):
            assert shown(score[name], score[f"{name}_interval"]) in card
        for one in score["per_label"].values():
            row = f"{100 * one['precision']:.2f} | {shown(one['recall'], one['recall_interval'])} | {100 * one['f1']:.2f} | {one['support']} |"
            assert row in card
        for source, one in score["per_source"].items():
            row = f"| {one['examples']} | {shown(one['accuracy'], one['accuracy_interval'])} | {shown(one['macro_recall'], one['macro_recall_interval'])} |"
            assert row in card
        assert f"| {score['log_loss']:.4f} |" in card and f"| {score['calibration_error']:.4f} |" in card
        assert f"temperature of {score['temperature']:.4f}" in card


def test_the_cards_command_makes_the_model_again(qing, trained, tmp_path):
    card = (trained / "README.md").read_text(encoding="utf-8")
    command = re.search(r"```sh\nqing (train .*)\n```", card)[1]
    again = tmp_path / "again"
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True).stdout
    arguments = [str(again) if word == str(trained) else word for word in words.split("\0")[:-1]]
    qing(*arguments)
    for name in ("model.safetensors", "config.json"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_the_temperature_calibrates_scores_and_leaves_logits(qing, trained, dev, scores):
    temperature = json.loads((trained / "config.json").read_text())["calibration_temperature"]
    assert temperature == scores[0]["temperature"] and temperature != 1
    line = json.loads(qing("predict", "--model", trained, "--json", "--logits", "--", "I love this film").stdout)
    weights = [math.exp(logit / temperature) for logit in line["logits"]]
    assert list(line["scores"].values()) == pytest.approx([w / sum(weights) for w in weights], abs=1e-6)
    last = json.loads(qing("predict", "--model", trained / "run/last", "--json", "--logits", "--", "good").stdout)
    weights = [math.exp(logit) for logit in last["logits"]]
    assert list(last["scores"].values()) == pytest.approx([w / sum(weights) for w in weights], abs=1e-6)
    # The table has both sets, and their common loss decreases.
    card = (trained / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (?:first|second)\.tsv \| ([\d.]+) \| ([\d.]+) \| [\d.]+ \| [\d.]+ \|", card)
    assert len(rows) == 2
    before, after = (sum(float(row[i]) * n for row, n in zip(rows, (150, 90))) for i in (0, 1))
    assert after < before


def test_transformers_ignores_the_temperature(qing, trained):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(trained).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained)
    with torch.no_grad():
        theirs = model(**tokenizer("this phone weighs two kilos", return_tensors="pt")).logits[0].tolist()
    line = qing("predict", "--model", trained, "--json", "--logits", "--", "this phone weighs two kilos").stdout
    assert json.loads(line)["logits"] == pytest.approx(theirs, abs=1e-5)


def test_eval_prints_intervals_sources_and_labels(qing, trained, dev, scores, tmp_path):
    svg = tmp_path / "c.svg"
    result = qing("eval", "--model", trained, "--data", dev[0], "--confusion", svg)
    score = scores[0]
    low, high = score["accuracy_interval"]
    assert 0 < low < score["accuracy"] < high < 1
    assert f"accuracy      {score['accuracy']:.4f}  95% [{low:.4f}, {high:.4f}]" in result.stdout
    for source in SOURCES:
        recalls = [one["recall"] for one in score["per_source"][source]["per_label"].values()]
        row = next(line for line in result.stdout.splitlines() if line.startswith(source))
        assert row.split()[-3:] == [f"{recall:.4f}" for recall in recalls]
    found = texts_of(svg)
    assert [text for text in found if text in ("all texts", *SOURCES)] == ["all texts", *sorted(SOURCES)]
    assert str(score["confusion"][0][0]) in found
    # Wilson's formula by hand.
    n, p, z = score["examples"], score["accuracy"], 1.959963984540054
    center, half = (p + z * z / 2 / n) / (1 + z * z / n), z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    assert (low, high) == pytest.approx((center - half, center + half))


def test_eval_names_an_image_it_cannot_write(qing, trained, dev, tmp_path):
    result = qing("eval", "--model", trained, "--data", dev[0], "--confusion", tmp_path / "no/c.svg", check=False)
    assert result.returncode == 1 and str(tmp_path / "no/c.svg") in result.stderr


def test_a_foreign_readme_is_kept(qing, tiny_data, tmp_path):
    out = tmp_path / "m"
    out.mkdir()
    (out / "README.md").write_text("mine")
    qing(*small_training(tiny_data, out, "--max-steps", 1))
    assert (out / "README.md").read_text() == "mine"
    assert "Train it again" in (out / "MODEL_CARD.md").read_text()


def test_without_dev_the_card_has_no_scores(qing, tiny_data, tmp_path):
    qing(*small_training(tiny_data, tmp_path / "m", "--max-steps", 2))
    card = (tmp_path / "m/README.md").read_text()
    assert "Not measured" in card and "The model is the last one" in card
    assert not (tmp_path / "m/run/confusion.svg").exists()
    assert "Macro-recall" not in (tmp_path / "m/run/loss.svg").read_text()
    assert "calibration_temperature" not in (tmp_path / "m/config.json").read_text()
