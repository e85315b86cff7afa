"""Teachers on the command line: which texts they have, texts without labels, kept predictions, the card."""

import json

import pytest
from conftest import synthetic_rows, write_tsv
from safetensors.numpy import load_file


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = synthetic_rows(400, seed=6)
    english = [row for row in rows if row[1].isascii()]
    chinese = [row for row in rows if not row[1].isascii()]
    write_tsv(folder / "en.tsv", english[:60])
    write_tsv(folder / "zh.tsv", chinese[:60])
    (folder / "more.txt").write_text("".join(text + "\n\n" for _, text in english[60:140]), encoding="utf-8")
    write_tsv(folder / "dev.tsv", english[140:170])
    return folder


@pytest.fixture(scope="module")
def teacher(qing, files, tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "english"
    qing("train", "--data", files / "en.tsv", "--layers", 1, "--width", 32, "--vocab", 300, "--epochs", 5, "--lr", 3e-3,
         "--out", out)  # fmt: skip
    return out


def student(qing, files, out, *more, check=True, **options):
    return qing("train", "--data", files / "en.tsv", "--data", files / "zh.tsv", "--layers", 1, "--width", 32, "--vocab", 300,
                "--max-steps", 6, "--batch", 16, "--out", out, *more, check=check, **options)  # fmt: skip


def test_a_teacher_for_some_files(qing, files, teacher, tmp_path):
    options = ["--teacher", f"{teacher}={files / 'en.tsv'}", "--teacher", f"{teacher}={files / 'more.txt'}", "--unlabelled",
               files / "more.txt", "--unlabelled-share", 0.5, "--teacher-temperature", 2, "--balance", 1, "--ngrams", 2,
               "--dev", files / "dev.tsv"]  # fmt: skip
    done = student(qing, files, tmp_path / "m", *options)
    assert f"teacher {teacher}: 140 of 140 texts" in done.stderr
    kept = load_file(tmp_path / "m/run/teachers.safetensors")
    assert sorted(scores.shape for scores in kept.values()) == [(60, 3), (80, 3)]
    record = json.loads((tmp_path / "m/run/run.json").read_text())
    assert [file["texts"] for file in record["unlabelled"]] == [80]
    assert [file["path"] for file in record["teachers"]] == [str(teacher)]
    card = (tmp_path / "m/README.md").read_text(encoding="utf-8")
    assert f"| english | Bert, 1 layers of width 32 | `{record['teachers'][0]['sha256']}` |" in card
    assert "| more.txt | training by teachers, without labels | 80 | – | – | – |" in card
    # A second run of the same training reads the predictions and ends with the same weights.
    again = qing("train", "--resume", "--out", tmp_path / "m")
    assert "teacher " not in again.stderr.replace("--teacher", "")


def test_trainings_share_predictions(qing, files, teacher, tmp_path):
    cache = tmp_path / "cache.safetensors"
    one, two = f"{teacher}={files / 'en.tsv'}", f"{teacher}={files / 'zh.tsv'}"
    first = student(qing, files, tmp_path / "first", "--teacher", one, "--teacher-cache", cache)
    assert f"teacher {teacher}: 60 of 60 texts" in first.stderr
    assert not (tmp_path / "first/run/teachers.safetensors").exists()
    # The second file is asked about, the first is not asked about again.
    second = student(qing, files, tmp_path / "second", "--teacher", one, "--teacher", two, "--teacher-cache", cache,
                     "--seed", 3)  # fmt: skip
    assert f"teacher {teacher}: 120 of 120 texts" in second.stderr
    assert f"teacher {teacher}: 60 of 120 texts" not in second.stderr
    third = student(qing, files, tmp_path / "third", "--teacher", teacher, "--teacher-cache", cache, "--seed", 4)
    assert f"teacher {teacher}: " not in third.stderr
    assert len(load_file(cache)) == 2


def test_a_wrong_place_of_predictions_is_told_before_the_teachers_are_asked(qing, files, teacher, tmp_path):
    (tmp_path / "a.file").write_text("x")
    for wrong, why in ((tmp_path / "none/cache.safetensors", "No such file or directory"), (tmp_path, "is a folder"),
                       (tmp_path / "a.file/cache.safetensors", "Not a directory")):  # fmt: skip
        failed = student(qing, files, tmp_path / "m", "--teacher", teacher, "--teacher-cache", wrong, check=False)
        assert failed.returncode == 1, failed.stderr
        assert f"--teacher-cache {wrong}: " in failed.stderr and why in failed.stderr, failed.stderr
        assert f"teacher {teacher}: " not in failed.stderr, "it was asked"
        assert not (tmp_path / "m").exists()
    inside = student(qing, files, tmp_path / "m", "--teacher", teacher, "--teacher-cache", tmp_path / "m/predictions")
    assert f"teacher {teacher}: " in inside.stderr and (tmp_path / "m/predictions").exists()
    assert not list((tmp_path / "m").glob("*.tmp-*"))


def test_ctrl_c_stops_the_asking(qing, files, teacher, tmp_path):
    import signal
    import subprocess

    many = tmp_path / "many.txt"
    many.write_text("".join(f"text {i} of very many\n" for i in range(200_000)), encoding="utf-8")
    command = [qing.binary, "train", "--data", files / "en.tsv", "--unlabelled", many, "--teacher", teacher, "--layers", "1",
               "--width", "32", "--vocab", "300", "--threads", "1", "--out", tmp_path / "m"]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        while "teacher " not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 1 and "stopped while the teachers were asked; --resume" in said
    assert "200060 of 200060" not in said


def test_a_changed_teacher_is_another_training(qing, files, teacher, tmp_path):
    import shutil

    other = tmp_path / "teacher"
    shutil.copytree(teacher, other)
    student(qing, files, tmp_path / "m", "--teacher", other)
    qing("train", "--data", files / "en.tsv", "--layers", 1, "--width", 32, "--max-steps", 1, "--out", other)
    result = qing("train", "--resume", "--out", tmp_path / "m", check=False)
    assert result.returncode == 2 and "--teacher" in result.stderr and "SHA-256" in result.stderr


def test_refusals(qing, files, teacher, tmp_path):
    def refusal(*more, code=2):
        result = student(qing, files, tmp_path / "m", *more, check=False)
        assert result.returncode == code, result.stderr
        return result.stderr

    more = files / "more.txt"
    assert f"--unlabelled {more}: its texts have no label and no teacher" in refusal("--unlabelled", more)
    only = f"{teacher}={files / 'en.tsv'}"
    assert f"--unlabelled {more}: its texts have no label" in refusal("--unlabelled", more, "--teacher", only)
    assert "is none of the files to train on" in refusal("--teacher", f"{teacher}=other.tsv")
    assert "the labels of the teacher" in refusal("--teacher", teacher, "--labels", "positive,neutral,negative", code=1)
    assert not (tmp_path / "m").exists()
