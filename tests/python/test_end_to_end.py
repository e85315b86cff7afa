"""The main tasks through the command line: train, evaluate, predict, serve, and the refusal of bad input."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT, small_training, synthetic_rows, write_tsv

SAMPLE = """\
from maas_sdk import MaaSClient
maas_client = MaaSClient(api_key='your_api_key')
emotion_model = maas_client.get_model('emotion_analysis')
texts = ['我非常喜欢这个电影', '这个产品真的很差']
emotions = emotion_model.predict(texts)
for text, emotion in zip(texts, emotions):
    print(f'文本：{text}，情感：{emotion}')
"""


def post(url, body, headers=None):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# --- the main tasks ---


def test_training_prints_speed_and_loss(qing, tiny_data, tmp_path):
    result = qing(*small_training(tiny_data, tmp_path / "m", "--max-steps", 5, "--json"))
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["tokens_per_second"] > 0
    assert summary["peak_rss_bytes"] > 1 << 20
    assert 0 < summary["loss"] < 2
    assert "tokens/s" in result.stderr and "loss" in result.stderr


def test_evaluation_has_all_figures(qing, model_dir, tmp_path):
    held = write_tsv(tmp_path / "held.tsv", synthetic_rows(200, seed=6))
    scores = json.loads(qing("eval", "--model", model_dir, "--data", held, "--json").stdout.splitlines()[-1])
    assert scores["accuracy"] > 0.9 and scores["macro_recall"] > 0.9 and scores["macro_f1"] > 0.9
    assert set(scores["per_label"]) == {"negative", "neutral", "positive"}
    text = qing("eval", "--model", model_dir, "--data", held).stdout
    for word in ("accuracy", "macro recall", "macro F1", "confusion"):
        assert word.lower() in text.lower()


def test_the_sample_runs_verbatim(models_root, serve):
    server = serve("--models", models_root)
    environment = {**os.environ, "MAAS_ENDPOINT": server.endpoint, "PYTHONPATH": str(ROOT / "serve/sdk/python")}
    output = subprocess.run(
        [sys.executable, "-c", SAMPLE], env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert output.splitlines() == ["文本：我非常喜欢这个电影，情感：positive", "文本：这个产品真的很差，情感：negative"]


def test_the_sample_stands_in_the_readme():
    assert SAMPLE.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_scores_do_not_depend_on_the_batch(qing, model_dir, tmp_path):
    texts = [text for _, text in synthetic_rows(64, seed=8)]
    path = tmp_path / "texts.txt"
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    together = qing("predict", "--model", model_dir, "--file", path, "--json", "--logits").stdout.splitlines()
    assert len(together) == 64
    for i in (0, 17, 40, 63):
        alone = qing("predict", "--model", model_dir, "--json", "--logits", "--", texts[i]).stdout.splitlines()
        assert alone == [together[i]]  # with nine digits, equal text means equal bits


def test_explain_weighs_every_part(qing, model_dir):
    texts = ["I love this film", "--", "我讨厌这个手机"]
    lines = qing("explain", "--model", model_dir, "--json", "--", *texts).stdout.splitlines()
    for text, answer in zip(texts, map(json.loads, lines)):
        told = answer["explanation"]
        assert answer["text"] == text and [text[s["begin"] : s["end"]] for s in told["spans"]] == [s["text"] for s in told["spans"]]
        assert abs(sum(span["weight"] for span in told["spans"]) - (told["score"] - told["baseline"])) <= 1e-3
    plain = qing("explain", "--model", model_dir, texts[0]).stdout.splitlines()
    assert plain[0].startswith("positive\t") and plain[2].endswith("\tlove") and len(plain) == 2 + 4


def test_same_weights_for_any_number_of_threads(qing, tiny_data, tmp_path):
    weights = []
    for threads in (1, 2):
        out = tmp_path / str(threads)
        qing(*small_training(tiny_data, out, "--max-steps", 10), env={**os.environ, "QING_THREADS": str(threads)})
        weights.append((out / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


# --- bad input: data ---

BAD_DATA = {
    "an empty file": (b"", ":1: the file is empty"),
    "a missing column": (b"label\tparagraph\npositive\tgood\n", ":1: no column 'text'"),
    "an unknown label": (b"label\ttext\npositive\tgood\nhappy\tfine\n", ":3: unknown label 'happy'"),
    "invalid UTF-8": (b"label\ttext\npositive\tgo\xffod\n", ":2: invalid UTF-8 at byte 11"),
    "a line of more than 1 MB": (b"label\ttext\npositive\t" + b"x" * (1 << 20) + b"\n", ":2: the line is longer than the limit of 1048576 bytes"),
    "a field too many": (b"label\ttext\npositive\tgood\tbetter\n", ":2: 3 fields where the header has 2"),
    "an empty text": (b"label\ttext\npositive\t\n", ":2: the text is empty"),
    "no rows": (b"label\ttext\n", "no rows"),
}


@pytest.mark.parametrize("what", BAD_DATA)
@pytest.mark.parametrize("command", ["train", "eval"])
def test_bad_data_is_named(qing, model_dir, tmp_path, command, what):
    content, message = BAD_DATA[what]
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    labels = ["--labels", "negative,neutral,positive"] if "unknown label" in message else []
    arguments = small_training(path, tmp_path / "m", *labels) if command == "train" else ["eval", "--model", model_dir, "--data", path]
    result = qing(*arguments, check=False)
    assert result.returncode == 1
    assert f"{path}{message}" in result.stderr if message.startswith(":") else message in result.stderr
    assert not (tmp_path / "m").exists()


def test_a_line_of_just_under_1_mb_is_read(qing, tmp_path):
    path = tmp_path / "long.tsv"
    path.write_bytes(b"label\ttext\n" + b"positive\t" + b"good " * 200000 + b"\nnegative\tbad\n")
    qing(*small_training(path, tmp_path / "m", "--max-steps", 1))


# --- bad input: files, disk, signals ---


@pytest.fixture
def model_copy(model_dir, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in filter(Path.is_file, model_dir.iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_weights_are_refused(qing, model_copy, keep):
    path = model_copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    result = qing("predict", "--model", model_copy, "good", check=False)
    assert result.returncode == 1
    assert str(path) in result.stderr


@pytest.mark.parametrize(
    "name, wanted",
    [("config.json", "No such"), ("model.safetensors", "holds none")],
)
def test_missing_model_files_are_named(qing, model_copy, name, wanted):
    (model_copy / name).unlink()
    result = qing("predict", "--model", model_copy, "good", check=False)
    assert result.returncode == 1
    assert str(model_copy) in result.stderr and wanted in result.stderr


def test_both_vocabulary_files_give_the_same_tokenizer(qing, model_copy):
    whole = qing("predict", "--model", model_copy, "good 好").stdout
    (model_copy / "vocab.txt").unlink()
    assert qing("predict", "--model", model_copy, "good 好").stdout == whole
    (model_copy / "tokenizer.json").unlink()
    result = qing("predict", "--model", model_copy, "good", check=False)
    assert result.returncode == 1
    assert f"{model_copy}: holds neither vocab.txt nor tokenizer.json" in result.stderr


def test_a_full_disk_leaves_the_old_model(qing, tiny_data, small_disk):
    out = small_disk / "m"
    qing(*small_training(tiny_data, out, "--max-steps", 1))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    fill = small_disk / "fill"
    with pytest.raises(OSError, match="No space"), open(fill, "wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    # The disk has room for the small files of another training, but not for its weights. A mixture would be useless.
    os.truncate(fill, fill.stat().st_size - 96 * 1024)
    other = ["train", "--data", tiny_data, "--layers", 2, "--width", 64, "--vocab", 300, "--max-steps", 1, "--out", out]
    result = qing(*other, check=False)
    assert result.returncode == 1
    assert str(out) in result.stderr and "No space left on device" in result.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    qing("predict", "--model", out, "good")


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["train"], ["train", "--data", "x.tsv", "--out", "m", "--layers", "many"], ["predict", "--wrong"]],
)
def test_wrong_usage_exits_with_2(qing, arguments):
    result = qing(*arguments, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("qing: error:")


def test_an_unknown_option_is_named_with_the_likest(qing, tiny_data, tmp_path):
    words = ["train", "--data", tiny_data, "--out", tmp_path / "m"]
    for given, said in (
        (["--epoch", 2], "qing train: there is no option --epoch; did you mean --epochs?"),
        (["--epoch=2", "x"], "qing train: there is no option --epoch; did you mean --epochs?"),
        (["--quite-another", 2], "qing train: there is no option --quite-another; see qing train --help"),
        (["more"], "qing train: the argument 'more' has no place; see qing train --help"),
    ):
        refused = qing(*words, *given, check=False)
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    refused = qing("files", "list", "--ulr", "http://127.0.0.1:9", check=False)
    assert refused.returncode == 2 and "qing files list: there is no option --ulr; did you mean --url?" in refused.stderr


# --- the server ---


def test_server_answers_and_refuses(models_root, serve):
    server = serve("--models", models_root)
    predict = server.endpoint + "/v1/models/emotion_analysis/predict"
    status, answer = post(predict, json.dumps({"texts": ["I love this film", "我讨厌这个手机"]}).encode())
    assert status == 200
    assert [p["label"] for p in answer["predictions"]] == ["positive", "negative"]
    for body in (b"{", b'{"texts": ["a"],}', b'{"texts": ["\xff"]}', b"[NaN]"):
        status, answer = post(predict, body)
        assert status == 400 and set(answer) == {"error", "code"}, body
    status, answer = post(server.endpoint + "/v1/models/no_such_model/predict", b'{"texts": ["a"]}')
    assert status == 404 and "no_such_model" in answer["error"]
    status, answer = post(predict, b'{"texts": "a"}')
    assert status == 422 and "texts" in answer["error"]
    for route in ("live", "ready"):
        with urllib.request.urlopen(f"{server.endpoint}/health/{route}", timeout=30) as answer:
            assert answer.status == 200


def test_server_stops_on_sigterm_and_logs_no_text(models_root, serve):
    server = serve("--models", models_root)
    secret = "I love this secret film"
    post(server.endpoint + "/v1/models/emotion_analysis/predict", json.dumps({"texts": [secret]}).encode())
    begin = time.monotonic()
    code, log = server.stop()
    assert code == 0
    assert time.monotonic() - begin < 10
    assert '/predict","status":200' in log
    assert secret not in log and "secret" not in log


def test_server_needs_a_key_if_keys_are_set(models_root, serve, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-sufficient-length-0123456789\n")
    keys.chmod(0o600)
    server = serve("--models", models_root, "--keys", keys)
    predict = server.endpoint + "/v1/models/emotion_analysis/predict"
    body = b'{"texts": ["a"]}'
    assert post(predict, body)[0] == 401
    assert post(predict, body, {"Authorization": "Bearer wrong"})[0] in (401, 403)
    good = {"Authorization": "Bearer a-key-of-sufficient-length-0123456789"}
    assert post(predict, body, good)[0] == 200


def test_server_refuses_a_public_address_without_keys(qing, models_root):
    result = qing("serve", "--models", models_root, "--address", "0.0.0.0", "--port", 0, check=False)
    assert result.returncode != 0
    assert "key" in result.stderr


def test_server_names_a_folder_without_models(qing, tmp_path):
    result = qing("serve", "--models", tmp_path, "--port", 0, check=False)
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr


def test_no_rows_of_the_data_are_in_the_project(data_dir):
    lines = set()
    for path in sorted(data_dir.glob("*.dev.tsv")):
        for row in path.read_text(encoding="utf-8").split("\n")[1:]:
            text = row.split("\t")[-1]
            if len(text) > 40:
                lines.add(text)
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".cpp", ".h", ".sh", ".tsv", ".txt"}:
            found = lines.intersection(path.read_text(encoding="utf-8").splitlines())
            assert not found, f"{name} holds a row of the data"
