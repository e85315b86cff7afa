"""Several labels, ordered labels and numbers beyond one training: kills and resumes, ranks, searches, comparison with
intervals beside scipy's tests, and the C library."""

import ctypes
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import time
import xml.etree.ElementTree as tree
from pathlib import Path

import numpy as np
import pytest
from conftest import BUILD
from scipy import stats
from sklearn import metrics
from test_mpi_training import OPEN_MPI
from test_multi_label import LABELS, STARS, label_sets, rows_of, write

FILL = "the a of in and we they was near about some new old first last".split()
KINDS = {"multi-label": "micro_f1", "ordinal": "kappa", "regression": "mse"}


def star_rows(count, seed, unit):
    rng, lines = random.Random(seed), []
    for _ in range(count):
        star = rng.randrange(5)
        word = STARS[min(4, max(0, star + rng.choice([0, 0, 0, 1, -1])))]
        label = f"{1000 + 250 * star + rng.gauss(0, 40):.2f}" if unit else star + 1
        lines.append(f"{rng.choice(FILL)} {word} {rng.choice(FILL)},{label}\n")
    return "text,label\n" + "".join(lines)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("kinds"), {}
    for kind in KINDS:
        found[kind] = [folder / f"{kind}-{name}.csv" for name in ("train", "dev")]
        for path, count, seed in zip(found[kind], (400, 150), (1, 2)):
            if kind == "multi-label":
                write(path, label_sets(count, seed))
            else:
                path.write_text(star_rows(count, seed, kind == "regression"))
    return found


def training(files, kind, out, *more):
    data, dev = files[kind]
    words = ["train", "--data", data, "--dev", dev, f"--{kind}", 1, "--layers", 1, "--width", 32, "--vocab", 300,
             "--max-length", 32, "--lr", 5e-3, "--batch", 16, "--out", out, *more]  # fmt: skip
    return [str(word) for word in words]


@pytest.fixture(scope="module")
def models(qing, files, tmp_path_factory):
    """Two models of each kind, the first one hardly trained."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for kind in KINDS:
        made[kind] = [folder / f"{kind}-{epochs}" for epochs in (1, 6)]
        for out, epochs in zip(made[kind], (1, 6)):
            qing(*training(files, kind, out, "--epochs", epochs))
    return made


def last_json(result):
    return json.loads(result.stdout.splitlines()[-1])


def model_files(folder):
    return [(folder / name).read_bytes() for name in ("model.safetensors", "config.json")]


def test_labels_with_commas_are_given_from_the_command_line_on(qing, tmp_path):
    """A comma of a name stands behind a backslash, as in the rules of --map."""
    names = ["bad, really", "fine\\ok", "good, or so"]
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps({"text": f"a {('poor', 'plain', 'great')[i % 3]} film", "label": names[i % 3]}) + "\n" for i in range(60)))
    small = ["--layers", 1, "--width", 32, "--vocab", 300, "--max-steps", 2, "--dev-share", 0]
    first = tmp_path / "first"
    qing("train", "--data", data, "--ordinal", 1, "--labels", r"bad\, really,fine\\ok,good\, or so", *small, "--out", first)
    qing("train", "--config", first / "run/config.toml", "--out", tmp_path / "second")
    command = re.search(r"```sh\nqing (train .*)\n```", (first / "README.md").read_text())[1]
    qing(*[tmp_path / "third" if word == str(first) else word for word in shlex.split(command)])
    for folder in ("first", "second", "third"):
        labels = json.loads((tmp_path / folder / "config.json").read_text())["id2label"]
        assert [labels[str(i)] for i in range(3)] == names, folder
    mapped = qing("eval", "--model", first, "--data", write_lines(tmp_path / "m.jsonl", [{"text": "a film", "label": "1"}]),
                  "--map", "1=bad, really").stdout  # fmt: skip
    assert "accuracy" in mapped
    several = tmp_path / "several.csv"
    several.write_text('text,"wet, cold",hot\n' + "".join(f"rain {i},{i % 2},{1 - i % 2}\n" for i in range(40)))
    qing("train", "--data", several, "--multi-label", 1, "--label-columns", r"wet\, cold,hot", *small, "--out", tmp_path / "weather")
    labels = json.loads((tmp_path / "weather/config.json").read_text())["id2label"]
    assert sorted(labels.values()) == ["hot", "wet, cold"]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_killed_trainings_go_on_to_the_same_bits(qing, files, tmp_path, kind):
    options = ["--epochs", 40, "--eval-every", 70, "--checkpoint-every", 4]
    qing(*training(files, kind, tmp_path / "whole", *options))
    out, reached = tmp_path / "m", 0

    def checkpoint():
        return max([int(path.name[5:]) for path in (out / "run/checkpoints").glob("step-*")], default=0)

    for i in range(4):
        words = training(files, kind, out, *options, "--resume", "--threads", 1 + i % 2)
        with subprocess.Popen([qing.binary, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while checkpoint() <= reached:
                assert process.poll() is None, process.communicate()
                time.sleep(0.002)
            process.kill()
            process.communicate()
        reached = checkpoint()
    last = last_json(qing("train", "--resume", "--out", out, "--json"))
    assert last["resumed_from"] == reached > 0
    assert model_files(out) == model_files(tmp_path / "whole")


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_have_the_bits_of_one(qing, files, tmp_path, kind):
    mpirun = shutil.which("mpirun.openmpi")
    if mpirun is None or not (Path(qing.binary).resolve().parent / "libqing_mpi_openmpi.so").exists():
        pytest.skip("Open MPI is not installed, or qing is built without it")
    own = {**os.environ, **OPEN_MPI, "OMP_WAIT_POLICY": "passive"}
    for ranks in (1, 2):
        words = [mpirun, "-n", str(ranks), qing.binary, *training(files, kind, tmp_path / str(ranks), "--epochs", 2)]
        result = subprocess.run(words, capture_output=True, text=True, timeout=120, env=own)
        assert result.returncode == 0, result.stderr
    assert model_files(tmp_path / "1") == model_files(tmp_path / "2")


@pytest.mark.parametrize("kind, measure", KINDS.items())
def test_a_search_keeps_the_best_trial(qing, files, tmp_path, kind, measure):
    out = tmp_path / "m"
    result = last_json(qing(*training(files, kind, out, "--epochs", 1, "--tune", 0.05, "--json")))
    trials = [json.loads(line) for line in (out / "run/trials.jsonl").read_text().splitlines()]
    ended = [trial for trial in trials if trial["end"] == "finished"]
    best = (min if measure == "mse" else max)(ended, key=lambda trial: trial[measure])
    assert len(trials) >= 2 and result["best_trial"] == best["trial"]
    qing("train", "--config", out / "run/config.toml", "--out", tmp_path / "again")
    assert model_files(tmp_path / "again") == model_files(out)


def numbers_of(qing, model, data, tmp_path):
    qing("eval", "--model", model, "--data", data, "--out", tmp_path / "r.csv")
    rows = rows_of(tmp_path / "r.csv")
    return [np.array([float(row[name]) for row in rows]) for name in ("value", "predicted_value")]


def test_models_of_numbers_are_compared(qing, files, models, tmp_path):
    weak, strong = models["regression"]
    data = files["regression"][1]
    result = qing("compare", weak, strong, "--data", data, "--json", "--chart", tmp_path / "c.svg")
    report = last_json(result)
    (expected, first), (_, second) = (numbers_of(qing, model, data, tmp_path) for model in (weak, strong))
    errors = [np.abs(expected - predicted) for predicted in (first, second)]
    wanted = {
        "RMSE": lambda y, p: np.sqrt(metrics.mean_squared_error(y, p)),
        "MAE": metrics.mean_absolute_error,
        "Pearson": lambda y, p: stats.pearsonr(y, p).statistic,
        "Spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    }
    for name, measure in wanted.items():
        one = report["measures"][name]
        assert [one["a"], one["b"]] == pytest.approx([measure(expected, first), measure(expected, second)], rel=1e-5)
        # The paired bootstrap of scipy draws other resamples of the same examples.
        theirs = stats.bootstrap((expected, first, second), lambda y, a, b: measure(y, b) - measure(y, a), paired=True,
                                 vectorized=False, n_resamples=1000, method="percentile", random_state=1)  # fmt: skip
        low, high = theirs.confidence_interval
        assert one["difference_interval"] == pytest.approx([low, high], abs=0.15 * (high - low))
    assert report["a_closer"] == int((errors[0] < errors[1]).sum())
    assert report["b_closer"] == int((errors[1] < errors[0]).sum())
    assert report["p_value"] == pytest.approx(stats.wilcoxon(*errors, method="asymptotic").pvalue, rel=1e-3)
    assert report["p_value"] < 1e-4 and "B has the smaller absolute errors." in result.stdout
    assert "MAE" in "".join(tree.parse(tmp_path / "c.svg").getroot().itertext())
    few = tmp_path / "few.csv"
    few.write_text("".join(data.read_text().splitlines(keepends=True)[:13]))
    (expected, first), (_, second) = (numbers_of(qing, model, few, tmp_path) for model in (weak, strong))
    report = last_json(qing("compare", weak, strong, "--data", few, "--json"))
    exact = stats.wilcoxon(np.abs(expected - first), np.abs(expected - second), method="exact").pvalue
    assert report["p_value"] == pytest.approx(exact, rel=1e-9)
    same = qing("compare", strong, strong, "--data", data, "--json")
    assert last_json(same)["p_value"] == 1 and "No difference beyond chance" in same.stdout
    assert last_json(same)["measures"]["MAE"]["difference_interval"] == [0, 0]


def test_intervals_of_numbers_are_those_of_the_bootstrap(qing, files, models, tmp_path):
    model, data = models["regression"][1], files["regression"][1]
    result = qing("eval", "--model", model, "--data", data, "--json")
    report, (expected, predicted) = last_json(result), numbers_of(qing, model, data, tmp_path)
    for name, measure in {
        "mae": metrics.mean_absolute_error,
        "mse": metrics.mean_squared_error,
        "rmse": lambda y, p: np.sqrt(metrics.mean_squared_error(y, p)),
        "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    }.items():
        theirs = stats.bootstrap((expected, predicted), measure, paired=True, vectorized=False, n_resamples=1000,
                                 method="percentile", random_state=1).confidence_interval  # fmt: skip
        assert report[f"{name}_interval"] == pytest.approx(list(theirs), abs=0.15 * (theirs.high - theirs.low))
        assert report[f"{name}_interval"][0] <= report[name] <= report[f"{name}_interval"][1]
    assert "RMSE" in result.stdout and "95% [" in result.stdout


def test_models_of_ordered_labels_are_compared(qing, files, models, tmp_path):
    weak, strong = models["ordinal"]
    data = files["ordinal"][1]
    result = qing("compare", weak, strong, "--data", data, "--json", "--chart", tmp_path / "c.svg")
    found, rows = last_json(result)["comparison"]["ordinal"], []
    for model in (weak, strong):
        report = last_json(qing("eval", "--model", model, "--data", data, "--out", tmp_path / "r.csv", "--json"))
        rows.append((report, rows_of(tmp_path / "r.csv")))
        low, high = report["mae_of_expected_value_interval"]
        assert low < report["mae_of_expected_value"] < high
    expected = np.array([float(row["label"]) for row in rows[0][1]])
    for name, key in (("quadratic weighted kappa", "quadratic_weighted_kappa"), ("MAE", "mae"),
                      ("MAE of expected value", "mae_of_expected_value")):  # fmt: skip
        one = found["measures"][name]
        assert [one["a"], one["b"]] == pytest.approx([rows[0][0][key], rows[1][0][key]], abs=1e-9)
        low, high = one["difference_interval"]
        assert low < one["b"] - one["a"] < high
    errors = [np.abs(expected - np.array([float(row["value"]) for row in table])) for _, table in rows]
    assert found["p_value"] == pytest.approx(stats.wilcoxon(*errors, method="asymptotic").pvalue, rel=1e-2)
    assert "quadratic weighted kappa" in result.stdout and "Wilcoxon's signed-rank test" in result.stdout
    assert "quadratic weighted kappa" in "".join(tree.parse(tmp_path / "c.svg").getroot().itertext())
    mixed = qing("compare", models["regression"][0], strong, "--data", data, check=False)
    assert mixed.returncode == 2 and "only one kind is compared" in mixed.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capi")
    result = subprocess.run(["cmake", "--install", BUILD, "--component", "capi", "--prefix", folder], capture_output=True)
    assert result.returncode == 0, result.stderr
    lib, handle, size = ctypes.CDLL(str(folder / "lib/libqing.so")), ctypes.c_void_p, ctypes.c_size_t
    lib.qing_threshold.restype = lib.qing_value.restype = ctypes.c_double
    lib.qing_threshold.argtypes = lib.qing_value.argtypes = [handle, size]
    lib.qing_has_label.argtypes = [handle, size, size]
    lib.qing_model_problem.argtypes = lib.qing_free_model.argtypes = lib.qing_free_predictions.argtypes = [handle]
    lib.qing_predict.argtypes = [handle, ctypes.POINTER(ctypes.c_char_p), handle, size, ctypes.POINTER(handle)]
    return lib


@pytest.mark.parametrize("number, kind", [(1, "multi-label"), (2, "ordinal"), (3, "regression")])
def test_the_c_library_gives_labels_and_values(qing, library, models, number, kind):
    model, texts = models[kind][1], ["soup and bread for the team", "the superb of", "court judge bank stock"]
    handle, predictions = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.qing_load(str(model).encode(), 0, ctypes.byref(handle)) == 0
    assert library.qing_model_problem(handle) == number
    pointers = (ctypes.c_char_p * 3)(*[text.encode() for text in texts])
    assert library.qing_predict(handle, pointers, None, 3, ctypes.byref(predictions)) == 0
    lines = qing("predict", "--model", model, "--json", *texts).stdout.splitlines()
    names = {"multi-label": LABELS, "ordinal": list("12345"), "regression": ["value"]}[kind]
    for i, answer in enumerate(map(json.loads, lines)):
        predicted = answer.get("labels", [answer.get("label")])
        has = [library.qing_has_label(predictions, i, label) for label in range(len(names))]
        assert has == [int(name in predicted) for name in names]
        value = library.qing_value(predictions, i)
        assert value == pytest.approx(answer["value"], rel=1e-6) if "value" in answer else np.isnan(value)
    thresholds = json.loads((model / "config.json").read_text()).get("thresholds", [])
    found = [library.qing_threshold(handle, label) for label in range(len(names))]
    assert found == thresholds if kind == "multi-label" else np.isnan(found).all()
    assert library.qing_has_label(predictions, 3, 0) == library.qing_has_label(predictions, 0, 9) == -1
    assert np.isnan(library.qing_value(predictions, 3)) and np.isnan(library.qing_threshold(handle, 9))
    assert library.qing_model_problem(None) == -1
    library.qing_free_predictions(predictions)
    library.qing_free_model(handle)
