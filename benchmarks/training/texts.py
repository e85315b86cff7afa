"""Writes texts as batches of token ids, which both sides read."""

import json
import random
import struct
import subprocess
from array import array

LABELS = {"negative": 0, "neutral": 1, "positive": 2}
SEED = 7


def shuffled_rows(paths, count):
    """Returns (text, label) of `count` rows of the TSV files, drawn with a fixed seed."""
    rows = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            header = next(file).rstrip("\n").split("\t")
            for line in file:
                row = dict(zip(header, line.rstrip("\n").split("\t")))
                rows.append((row["text"], LABELS[row["label"]]))
    if len(rows) < count:
        raise RuntimeError(f"{len(rows)} texts; the comparison takes {count}")
    random.Random(SEED).shuffle(rows)
    return rows[:count]


def encode(qing, model, rows):
    """Returns (ids, label) of each row, encoded with the model's tokenizer."""
    lines = "\n".join(text.replace("\r", " ") for text, _ in rows)
    done = subprocess.run([qing, "tokenize", "--model", model], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"qing tokenize: {done.stderr.strip()}")
    return [(json.loads(line), label) for line, (_, label) in zip(done.stdout.splitlines(), rows, strict=True)]


def sorted_within_batches(rows, batch):
    """Returns the rows as batches of texts of similar length, with the batches in random order."""
    ordered = sorted(rows, key=lambda row: len(row[0]))
    batches = [ordered[i : i + batch] for i in range(0, len(ordered), batch)]
    random.Random(SEED).shuffle(batches)
    return [row for one in batches for row in one]


def write_batches(path, rows, batch):
    """Writes a safetensors file with the ids end to end, the offsets of texts, their labels and the offsets of batches."""
    ids, offsets = array("i"), array("q", [0])
    for row, _ in rows:
        ids.extend(row)
        offsets.append(len(ids))
    tensors = {
        "batches": array("q", range(0, len(rows) + 1, batch)),
        "labels": array("q", [label for _, label in rows]),
        "offsets": offsets,
        "ids": ids,
    }
    header, data = {}, b""
    for name, values in tensors.items():
        begin = len(data)
        data += values.tobytes()
        header[name] = {"dtype": "I64" if values.typecode == "q" else "I32", "shape": [len(values)],
                        "data_offsets": [begin, len(data)]}  # fmt: skip
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
