#!/usr/bin/env python3
"""Training speed of qing beside PyTorch's: the same model, data, batch size and threads, in alternating rounds.

PyTorch trains transformers' BertForSequenceClassification with the tokenizer that qing has written, in f32 and eager
mode with AdamW, each batch padded to its longest text. Tokens are real ones, padding is not counted. Needs torch and
transformers (tests/python/requirements.txt).

    python3 benchmarks/train_compare.py --qing build/release/qing --data A.tsv --data B.tsv [--steps 200] [--rounds 3]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import torch
import transformers


def qing_round(options, out):
    command = [options.qing, "train", "--layers", "2", "--width", "128", "--batch", "64", "--vocab", "16000", "--epochs", "1"]
    command += ["--max-steps", str(options.steps), "--out", out, "--json"]
    for path in options.data:
        command += ["--data", path]
    environment = {**os.environ, "QING_THREADS": str(options.threads)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["tokens_per_second"]


def rows_of(paths):
    labels = {"negative": 0, "neutral": 1, "positive": 2}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            header = next(file).rstrip("\n").split("\t")
            for line in file:
                row = dict(zip(header, line.rstrip("\n").split("\t")))
                yield row["text"], labels[row["label"]]


def torch_round(options, folder, rows, seed):
    torch.manual_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_config(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    order = torch.randperm(len(rows))
    warm = 10
    tokens, seconds = 0, 0.0
    for step in range(warm + options.steps):
        chosen = [rows[i] for i in order[step * 64 : (step + 1) * 64]]
        # Encoding is left out of the time, as it is in qing's.
        batch = tokenizer([text for text, _ in chosen], padding=True, truncation=True, return_tensors="pt")
        labels = torch.tensor([label for _, label in chosen])
        begin = time.perf_counter()
        optimizer.zero_grad()
        model(**batch, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= warm:
            seconds += time.perf_counter() - begin
            tokens += int(batch["attention_mask"].sum())
    return tokens / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qing", required=True)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = list(rows_of(options.data))
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for round_number in range(options.rounds):
            ours.append(qing_round(options, folder))
            theirs.append(torch_round(options, folder, rows, round_number))
            print(f"round {round_number + 1}: qing {ours[-1]:.0f}, PyTorch {theirs[-1]:.0f} tokens/s", flush=True)
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"median of {options.rounds}, {options.threads} threads: qing {mine:.0f}, PyTorch {torch.__version__} {other:.0f}", end=" ")
    print(f"tokens/s, ratio {mine / other:.2f}")


main()
