"""Measures the effect of each part of the shipped model's recipe: trains without that part, or with another one, for several
seeds.

    python3 benchmarks/recipe_ablation.py --data FOLDER --out RUNS [--seeds 42,1,2] [--jobs 2] [--only NAME]

FOLDER holds the files that serve/models/emotion_analysis.toml names. Every training runs on one thread and writes to its own
folder in RUNS. A finished training is not repeated: if the command is stopped, run it again to continue. It prints the
macro-recall in percent on both dev sets: the mean over the seeds, and each seed. The dev sets also choose the epoch.
"""

import argparse
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRA = {"phrases": "en.phrases.train.tsv", "two-class": "zh.two-class.train.tsv"}
RECIPE = "the recipe"
ALONE = ["--ngrams", "0", "--word-dropout", "0", "--balance", "0", "--ema", "0"]

# The changes of each variant: options that follow the recipe's, and the extra texts. The teachers are the recipe's models.
VARIANTS = {
    RECIPE: ([], EXTRA),
    "without n-grams": (["--ngrams", "0"], EXTRA),
    "without word dropout": (["--word-dropout", "0"], EXTRA),
    "without balanced labels": (["--balance", "0"], EXTRA),
    "without averaged weights": (["--ema", "0"], EXTRA),
    "without phrases": ([], ["two-class"]),
    "without two-class texts": ([], ["phrases"]),
    "the encoder alone": (ALONE, []),
    "with 16,000 entries": (["--vocab", "16000"], EXTRA),
    "with label smoothing 0.1": (["--label-smoothing", "0.1"], EXTRA),
    "with R-Drop, α = 1": (["--consistency", "1"], EXTRA),
    "taught by all seeds of the recipe": (["--teacher-share", "0.5"], EXTRA),
}
TAUGHT = "taught by all seeds of the recipe"


def folder(arguments, name, seed):
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    return arguments.out / f"{plain}.{seed}"


def macro_recalls(arguments, model):
    found = []
    for language in ["en", "zh"]:
        data = arguments.data / f"{language}.dev.tsv"
        command = [arguments.qing, "eval", "--model", model, "--data", data, "--json"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append(100 * json.loads(output.splitlines()[-1])["macro_recall"])
    return found


def train(arguments, name, seed):
    """Returns the macro-recalls of one training. A finished training is not repeated."""
    options, extra = VARIANTS[name]
    into = folder(arguments, name, seed)
    command = [arguments.qing, "train", "--config", ROOT / "serve/models/emotion_analysis.toml", "--threads", "1"]
    command += ["--resume", "--seed", str(seed), "--out", into, *options]
    for language in ["en", "zh"]:
        command += ["--data", arguments.data / f"{language}.train.tsv", "--dev", arguments.data / f"{language}.dev.tsv"]
    for one in extra:
        command += ["--extra", arguments.data / EXTRA[one]]
    if name == TAUGHT:
        for teacher in arguments.seeds:
            command += ["--teacher", folder(arguments, RECIPE, teacher)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{name}, seed {seed}: {result.stderr[-2000:]}")
    found = macro_recalls(arguments, into)
    print(f"  {name}, seed {seed}: {found[0]:.2f} {found[1]:.2f}", flush=True)
    return found


def table(arguments, scores):
    print("\n| | en, mean | zh, mean | en, by seed | zh, by seed |\n|---|---|---|---|---|")
    for name in arguments.only:
        rows = [scores[name, seed] for seed in arguments.seeds]
        means = [sum(row[i] for row in rows) / len(rows) for i in (0, 1)]
        each = [", ".join(f"{row[i]:.1f}" for row in rows) for i in (0, 1)]
        print(f"| {name} | {means[0]:.2f} | {means[1]:.2f} | {each[0]} | {each[1]} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qing", type=Path, default=ROOT / "build/release/qing")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="42,1,2", help="random seeds; default 42,1,2")
    parser.add_argument("--jobs", type=int, default=2, help="number of trainings at the same time; default 2")
    parser.add_argument("--only", action="append", choices=VARIANTS, metavar="NAME", help="variant to train; may be repeated")
    arguments = parser.parse_args()
    arguments.seeds = [int(seed) for seed in arguments.seeds.split(",")]
    arguments.only = arguments.only or list(VARIANTS)
    if TAUGHT in arguments.only and RECIPE not in arguments.only:
        parser.error(f"'{TAUGHT}' needs '{RECIPE}' as well")
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [(name, seed) for seed in arguments.seeds for name in arguments.only if name != RECIPE]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        scores = {}
        # The recipe is trained first, because its models are the teachers.
        recipe = [(RECIPE, seed) for seed in arguments.seeds if RECIPE in arguments.only]
        for group in (recipe, tasks):
            scores.update(zip(group, pool.map(lambda task: train(arguments, *task), group)))
    table(arguments, scores)


if __name__ == "__main__":
    main()
