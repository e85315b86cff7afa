"""`qing train` on shards: folders and patterns, and texts that are read from a cache of tokens instead of memory."""

import errno
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import synthetic_rows, within, write_tsv

GIGABYTES = float(os.environ.get("QING_STREAM_GB", "0"))
IN_CACHE = "the tokenized texts are in the cache"


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for i in range(3):
        write_tsv(folder / f"part-{i}.tsv", synthetic_rows(150, seed=20 + i))
    (folder / ".part.tsv.swp").write_text("no table\n")
    (folder / "README.md").write_text("no table\n")
    return folder


@pytest.fixture
def dev(tmp_path):
    return write_tsv(tmp_path / "dev.tsv", synthetic_rows(60, seed=30))


def training(data, out, *more):
    words = ["train", "--layers", 1, "--width", 32, "--vocab", 300, "--batch", 32, "--lr", 5e-3, "--out", out, *more]
    for one in data if isinstance(data, list) else [data]:
        words += ["--data", one]
    return words


def bits(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def entry_of(cache):
    entries = [path for path in cache.iterdir() if path.name != ".lock"]
    assert len(entries) == 1, entries
    return entries[0]


def tokens_of(folder):
    return hashlib.sha256((folder / "tokens.bin").read_bytes()).hexdigest()


def test_a_folder_and_a_pattern_are_their_files(qing, shards, dev, tmp_path):
    files = [shards / f"part-{i}.tsv" for i in range(3)]
    for name, data in (("files", files), ("folder", shards), ("pattern", shards / "part-[0-9].tsv")):
        qing(*training(data, tmp_path / name, "--dev", dev, "--balance", 1))
    assert bits(tmp_path / "folder") == bits(tmp_path / "files") == bits(tmp_path / "pattern")
    record = json.loads((tmp_path / "folder/run/run.json").read_text())
    assert [file["path"] for file in record["data"]] == [str(path) for path in files]
    (tmp_path / "empty").mkdir()
    for wrong, expected in (("empty", "the folder has no table"), ("empty/*.tsv", "no file matches the pattern")):
        result = qing(*training(tmp_path / wrong, tmp_path / "no"), check=False)
        assert result.returncode == 2 and expected in result.stderr and wrong in result.stderr
    assert not (tmp_path / "no").exists()


def test_the_second_training_reads_the_cache(qing, shards, dev, tmp_path):
    cache = tmp_path / "cache"
    words = ["--dev", dev, "--token-cache", cache, "--balance", 1, "--word-dropout", 0.1]
    first = qing(*training(shards, tmp_path / "a", *words))
    assert "reading 3 files" in first.stderr and "labels of the data: " in first.stderr and IN_CACHE not in first.stderr
    made = tokens_of(entry_of(cache))
    second = qing(*training(shards, tmp_path / "b", *words, "--threads", 1))
    assert IN_CACHE in second.stderr and "reading 3 files" not in second.stderr
    assert bits(tmp_path / "a") == bits(tmp_path / "b")
    assert (tmp_path / "a/vocab.txt").read_bytes() == (tmp_path / "b/vocab.txt").read_bytes()
    records = [json.loads((tmp_path / name / "run/run.json").read_text())["data"] for name in "ab"]
    assert records[0] == records[1]
    for one, path in zip(records[0], sorted(shards.glob("part*.tsv")), strict=True):
        assert one["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and one["texts"] == 150
    # Another time of change with the same bytes.
    os.utime(shards / "part-1.tsv", (1e9, 1e9))
    assert IN_CACHE in qing(*training(shards, tmp_path / "c", *words)).stderr
    # Other options of the model have the same tokens, and other options of the tokenizer others.
    assert IN_CACHE in qing(*training(shards, tmp_path / "d", *words, "--heads", 2)).stderr
    assert tokens_of(entry_of(cache)) == made
    assert IN_CACHE not in qing(*training(shards, tmp_path / "e", *words, "--max-length", 12)).stderr
    assert len(list(cache.iterdir())) == 3


def test_texts_are_held_out_of_the_stream(qing, shards, tmp_path):
    cache = tmp_path / "cache"
    outs = [tmp_path / name for name in ("memory", "stream", "again")]
    qing(*training(shards, outs[0]))
    for out in outs[1:]:
        qing(*training(shards, out, "--token-cache", cache))
    records = [json.loads((out / "run/run.json").read_text()) for out in outs]
    assert records[0]["data"][0]["label_texts"] == records[1]["data"][0]["label_texts"]
    assert records[0]["dev"][0]["texts"] == records[1]["dev"][0]["texts"] > 10
    assert records[1]["dev"] == records[2]["dev"]
    assert bits(outs[1]) == bits(outs[2])
    # The settings of the record find the same entry.
    again = qing("train", "--resume", "--epochs", 2, "--out", outs[1])
    assert IN_CACHE in again.stderr


def test_a_changed_or_damaged_cache_is_made_again(qing, shards, dev, tmp_path):
    cache = tmp_path / "cache"
    words = ["--dev", dev, "--token-cache", cache]
    qing(*training(shards, tmp_path / "a", *words))
    entry, expected = entry_of(cache), bits(tmp_path / "a")
    whole = tmp_path / "whole"
    shutil.copytree(entry, whole)

    def cut(name):
        path = entry / name
        path.write_bytes(path.read_bytes()[:-9])

    def rewrite(name, old, new):
        path = entry / name
        path.write_text(path.read_text().replace(old, new))

    damages = {
        "its end is missing": lambda: cut("tokens.bin"),
        "is no file of tokenized texts": lambda: (entry / "tokens.bin").write_bytes(b"other" * 99),
        "a file in it is missing or was changed": lambda: (entry / "tokenizer/vocab.txt").unlink(),
        "a file in it is missing": lambda: cut("held.json"),
        "is no manifest of a token cache": lambda: cut("manifest.json"),
        "it has version 9; this program reads 1": lambda: rewrite("manifest.json", '"version":1', '"version":9'),
        "cannot open": lambda: (entry / "tokens.bin").unlink(),
    }
    for reason, damage in damages.items():
        damage()
        result = qing(*training(shards, tmp_path / "b", *words, "--overwrite"))
        assert f"the cache {entry} is made again: " in result.stderr and reason in result.stderr
        assert bits(tmp_path / "b") == expected
        assert tokens_of(entry_of(cache)) == tokens_of(whole)
    # Other bytes of the same number.
    path = shards / "part-2.tsv"
    path.write_bytes(path.read_bytes()[:-2] + b"!\n")
    result = qing(*training(shards, tmp_path / "c", *words))
    assert "part-2.tsv has changed" in result.stderr
    # A damaged block is found when it is read.
    bytes_of = bytearray((entry_of(cache) / "tokens.bin").read_bytes())
    bytes_of[40] ^= 1
    (entry_of(cache) / "tokens.bin").write_bytes(bytes_of)
    result = qing(*training(shards, tmp_path / "d", *words), check=False)
    assert result.returncode == 1 and "tokens.bin: is damaged: the checksum of block 0 is wrong" in result.stderr


def test_a_killed_maker_leaves_no_entry(qing, shards, dev, tmp_path):
    cache = tmp_path / "cache"
    words = [str(word) for word in training(shards, tmp_path / "a", "--dev", dev, "--token-cache", cache)]
    rng = random.Random(7)
    for _ in range(6):
        process = subprocess.Popen([qing.binary, *words], stderr=subprocess.PIPE, text=True)
        assert within(20, lambda: (cache / ".lock").exists() or process.poll() is not None)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        for entry in cache.iterdir():
            if not entry.name.startswith("."):
                assert (entry / "manifest.json").exists()
    qing(*words, "--overwrite")
    assert entry_of(cache)


def test_a_stopped_epoch_goes_on_with_the_same_bits(qing, shards, dev, tmp_path):
    cache = tmp_path / "cache"
    words = ["--dev", dev, "--token-cache", cache, "--epochs", 12, "--checkpoint-every", 1]
    qing(*training(shards, tmp_path / "whole", *words))
    out = tmp_path / "stopped"
    process = subprocess.Popen([qing.binary, *map(str, training(shards, out, *words))], stderr=subprocess.PIPE, text=True)
    steps = out / "run/metrics.jsonl"
    assert within(60, lambda: steps.exists() and '"step": 20,' in steps.read_text())
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    stopped = int(re.search(r"interrupted after step (\d+)", told)[1])
    assert stopped % 15 != 0, "it stopped at the end of an epoch"
    result = qing("train", "--resume", "--out", out)
    assert f"resuming after step {stopped}" in result.stderr and IN_CACHE in result.stderr
    assert bits(out) == bits(tmp_path / "whole")


def test_what_needs_all_texts_is_refused_by_name(qing, shards, dev, tmp_path):
    cache = tmp_path / "cache"
    more = write_tsv(tmp_path / "more.tsv", synthetic_rows(20))
    for words in (["--ngrams", 2], ["--extra", more], ["--multi-label", 1], ["--regression", 1], ["--tune", 1],
                  ["--teacher", tmp_path]):  # fmt: skip
        result = qing(*training(shards, tmp_path / "no", "--dev", dev, "--token-cache", cache, *words), check=False)
        assert result.returncode != 0 and str(words[0]) in result.stderr, result.stderr
    assert not cache.exists() and not (tmp_path / "no").exists()
    qing(*training(shards, tmp_path / "a", "--dev", dev))
    result = qing("train", "--resume", "--epochs", 2, "--token-cache", cache, "--out", tmp_path / "a", check=False)
    assert result.returncode == 2 and "token-cache" in result.stderr


def test_a_model_to_begin_with_has_its_own_tokens(qing, shards, dev, tmp_path):
    cache = tmp_path / "cache"
    qing(*training(shards, tmp_path / "base", "--dev", dev))
    words = ["train", "--from", tmp_path / "base", "--data", shards, "--dev", dev, "--token-cache", cache]
    first = qing(*words, "--out", tmp_path / "a")
    assert "the classification head" in first.stderr
    assert IN_CACHE in qing(*words, "--out", tmp_path / "b").stderr
    assert bits(tmp_path / "a") == bits(tmp_path / "b")
    assert (tmp_path / "a/vocab.txt").read_bytes() == (tmp_path / "base/vocab.txt").read_bytes()


def test_ngrams_of_the_model_to_begin_with_are_refused_by_name(qing, shards, dev, tmp_path):
    """The file of tokens has no n-grams, so that a model with them would be trained without."""
    cache = tmp_path / "cache"
    qing(*training(shards, tmp_path / "base", "--dev", dev, "--ngrams", 2))
    words = ["train", "--from", tmp_path / "base", "--data", shards, "--dev", dev, "--token-cache", cache]
    labels = list(json.loads((tmp_path / "base/config.json").read_text())["id2label"].values())
    for more in ([], ["--labels", ",".join(labels)]):
        result = qing(*words, *more, "--out", tmp_path / "no", check=False)
        assert result.returncode == 1 and f"--from {tmp_path / 'base'}" in result.stderr, result.stderr
        assert "n-grams of its own" in result.stderr and not (tmp_path / "no").exists()
        assert not cache.exists() or [path.name for path in cache.iterdir()] == [".lock"]
    # Other labels have a new head, without n-grams.
    qing(*words, "--labels", ",".join(reversed(labels)), "--out", tmp_path / "a")


def test_labels_of_a_scale_ascend_with_a_cache_too(qing, tmp_path):
    rows = [(str(1 + i % 3), text) for i, (_, text) in enumerate(synthetic_rows(90))]
    data = write_tsv(tmp_path / "stars.tsv", rows)
    words = ["--ordinal", 1, "--token-cache", tmp_path / "cache", "--labels"]
    result = qing(*training(data, tmp_path / "no", *words, "1,3,2"), check=False)
    assert result.returncode == 2 and "numbers must ascend" in result.stderr, result.stderr
    assert not (tmp_path / "cache").exists() and not (tmp_path / "no").exists()
    qing(*training(data, tmp_path / "a", *words, "1,2,3"))


def test_a_pipe_is_refused_because_it_is_read_several_times(qing, shards, tmp_path):
    pipe = tmp_path / "pipe.tsv"
    os.mkfifo(pipe)
    result = qing(*training(pipe, tmp_path / "no", "--token-cache", tmp_path / "cache"), check=False)
    assert result.returncode == 1 and f"{pipe}: is read several times; save it in a file" in result.stderr
    assert not (tmp_path / "cache").exists()


def test_a_cache_without_locks_is_refused(qing, shards, dev, tmp_path, failing):
    cache = tmp_path / "cache"
    failing("flock", errno.ENOLCK)
    result = qing(*training(shards, tmp_path / "no", "--dev", dev, "--token-cache", cache), check=False)
    assert result.returncode == 1 and f"{cache / '.lock'}: cannot lock: No locks available; " in result.stderr
    assert [path.name for path in cache.iterdir()] == [".lock"] and not (tmp_path / "no").exists()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EACCES])
def test_an_old_entry_is_replaced_where_names_cannot_be_exchanged(qing, shards, dev, tmp_path, failing, number):
    cache = tmp_path / "cache"
    words = ["--dev", dev, "--token-cache", cache]
    qing(*training(shards, tmp_path / "a", *words))
    path = shards / "part-2.tsv"
    path.write_bytes(path.read_bytes()[:-2] + b"!\n")
    entry, old = entry_of(cache), (entry_of(cache) / "manifest.json").read_bytes()
    failing("renameat2", number)
    result = qing(*training(shards, tmp_path / "b", *words), check=False)
    assert entry_of(cache) == entry
    if number == errno.EACCES:
        assert result.returncode == 1 and f"{entry}: cannot replace: Permission denied" in result.stderr
        assert (entry / "manifest.json").read_bytes() == old
        return
    assert result.returncode == 0, result.stderr
    assert IN_CACHE in qing(*training(shards, tmp_path / "c", *words)).stderr
    assert bits(tmp_path / "b") == bits(tmp_path / "c")


def private_bytes(pid):
    """The heap and all other memory of the process alone: anonymous pages, without those of mapped files."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:"))


def watched(qing, words):
    """Runs the command. Returns the most private bytes that it had, the seconds to its first step, and what it told."""
    out = Path(words[words.index("--out") + 1])
    begin, first, most = time.monotonic(), None, 0
    with open(out.parent / "told", "w+") as told:
        process = subprocess.Popen([qing.binary, *map(str, words)], stderr=told, stdout=told)
        while process.poll() is None:
            try:
                most = max(most, private_bytes(process.pid))
            except (StopIteration, FileNotFoundError):
                pass  # it has just ended
            steps = out / "run/metrics.jsonl"
            if first is None and steps.exists() and steps.stat().st_size > 0:
                first = time.monotonic() - begin
            time.sleep(0.01)
        told.seek(0)
        text = told.read()
    assert process.returncode == 0, text
    return most, first, text


def write_large(folder, size):
    """Shards of about 64 MB each."""
    folder.mkdir()
    words = "the a film phone book lamp light sound very quite not good bad plain fine poor bright dull long short new".split()
    rng = random.Random(3)
    lines = [(rng.randrange(3), " ".join(rng.choices(words, k=rng.randrange(8, 40)))) for _ in range(20000)]
    written, number = 0, 0
    while written < size:
        with open(folder / f"shard-{number:04}.tsv", "w") as file:
            file.write("label\ttext\n")
            for part in range(1000):
                some = rng.sample(lines, 500)
                written += file.write("".join(f"{label}\t{line} {number} {part} {i}\n" for i, (label, line) in enumerate(some)))
                if file.tell() > 64e6 or written >= size:
                    break
        number += 1
    return written


@pytest.mark.timeout(3600)
def test_memory_does_not_grow_with_the_data(qing, tmp_path):
    size = GIGABYTES * 1e9 or 60e6
    written = write_large(tmp_path / "shards", size)
    words = training(tmp_path / "shards", tmp_path / "a", "--token-cache", tmp_path / "cache", "--max-steps", 20)
    made, _, told = watched(qing, words)
    words[words.index("--out") + 1] = tmp_path / "b"
    used, seconds, again = watched(qing, words)
    assert IN_CACHE in again and bits(tmp_path / "a") == bits(tmp_path / "b")
    print(f"{written / 1e9:.2f} GB: {made / 1e6:.0f} MB to make the cache, {used / 1e6:.0f} MB and {seconds:.2f} s with it")
    assert made < 600e6 and used < 600e6
    if GIGABYTES:
        assert seconds < 2
    else:
        assert used < 200e6  # what a model and a window of texts take, and less than the texts in memory
