"""Compares trained models with logistic regression on TF-IDF of words and characters, which every model should beat.

    python3 benchmarks/sentiment_quality.py --qing build/release/qing --data FOLDER [--model NAME=DIR ...]

FOLDER holds en.train.tsv, en.dev.tsv, zh.train.tsv and zh.dev.tsv (label, source, text). Without --model it measures the
model that comes with qing. It prints the macro-recall in percent, of all texts and of each source, and the recall of the
neutral texts. The linear model needs scikit-learn. Without scikit-learn it is left out with a message.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

LABELS = ["negative", "neutral", "positive"]


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text"] for row in rows], [row["label"] for row in rows], [row["source"] for row in rows]


def recalls(truth, said):
    """Returns the recall of each label, None for a label without texts."""
    result = {}
    for label in LABELS:
        hits = [t == s for t, s in zip(truth, said) if t == label]
        result[label] = sum(hits) / len(hits) if hits else None
    return result


def macro(values):
    present = [value for value in values.values() if value is not None]
    return sum(present) / len(present)


def linear_model(folder, language):
    """Predictions for the dev texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import FeatureUnion

    texts, labels, _ = read(folder / f"{language}.train.tsv")
    common = {"sublinear_tf": True, "min_df": 2}
    if language == "en":
        features = FeatureUnion([
            ("words", TfidfVectorizer(ngram_range=(1, 2), **common)),
            ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), **common)),
        ])  # fmt: skip
    else:
        features = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **common)
    model = LogisticRegression(C=3, class_weight="balanced", max_iter=300)
    model.fit(features.fit_transform(texts), labels)
    return list(model.predict(features.transform(read(folder / f"{language}.dev.tsv")[0])))


def qing_model(qing, model, folder, language, scratch):
    """Predictions for the dev texts."""
    scratch.write_text("".join(text + "\n" for text in read(folder / f"{language}.dev.tsv")[0]), encoding="utf-8")
    where = ["--model", model] if model else []
    output = subprocess.run([qing, "predict", *where, "--json", "--file", scratch], check=True, capture_output=True)
    return [json.loads(line)["label"] for line in output.stdout.decode().splitlines()]


def report(name, folder, language, said):
    _, truth, sources = read(folder / f"{language}.dev.tsv")
    if len(said) != len(truth):
        raise SystemExit(f"{name}: {len(said)} predictions for {len(truth)} texts of {language}.dev.tsv")
    all_recalls = recalls(truth, said)
    cells = [f"{100 * macro(all_recalls):.1f}", f"{100 * all_recalls['neutral']:.1f}"]
    for source in sorted(set(sources)):
        mine = [i for i, s in enumerate(sources) if s == source]
        cells.append(f"{source} {100 * macro(recalls([truth[i] for i in mine], [said[i] for i in mine])):.1f}")
    print(f"| {name} | {language} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qing", default="build/release/qing")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--scratch", type=Path, default=Path("build/sentiment_quality.txt"))
    arguments = parser.parse_args()
    arguments.scratch.parent.mkdir(parents=True, exist_ok=True)
    models = [model.split("=", 1) for model in arguments.model] or [("the shipped model", None)]
    print("| model | language | macro-recall | neutral | by source |\n|---|---|---|---|---|")
    for language in ["en", "zh"]:
        try:
            report("logistic regression", arguments.data, language, linear_model(arguments.data, language))
        except ImportError:
            print("logistic regression is left out: scikit-learn is not installed", file=sys.stderr)
        for name, model in models:
            report(name, arguments.data, language,
                   qing_model(arguments.qing, model, arguments.data, language, arguments.scratch))  # fmt: skip


if __name__ == "__main__":
    main()
