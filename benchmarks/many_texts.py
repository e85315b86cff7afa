#!/usr/bin/env python3
"""How fast many texts get their labels: rows of a table by `qing predict`, and a list by the Python client.

    python3 benchmarks/many_texts.py [--binary build/release/qing] [--rows 1000000] [--texts 10000] [--rounds 3]

The texts are made of common words, 5 to 20 each, with a fixed seed. The model is the one that comes with qing. `qing predict
--file` reads a CSV and writes one with the predictions added. Beside it stands what the model does with the same texts in
memory, in batches of 32 and without input and output (`qing bench --alone`). The client, synchronous and asynchronous, asks a
server on the same machine. Seconds are medians of the rounds. Memory is the largest resident size of the process.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "serve/sdk/python")]
from maas_sdk import AsyncMaaSClient, MaaSClient  # noqa: E402
from serving.processes import Server, free_port  # noqa: E402

WORDS = ("the film was a slow and quiet story about people who never say what they want but its end made me happy again "
         "service room price screen battery music very not good bad late cold broken love great").split()  # fmt: skip
MODEL = "emotion_analysis"


def made_texts(count):
    rng = random.Random(20261130)
    for _ in range(count):
        yield " ".join(rng.choices(WORDS, k=rng.randint(5, 20)))


def timed_run(command):
    """Seconds and the largest resident size in MB of a command."""
    begun = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} {command[1]} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - begun, usage.ru_maxrss * 1024 / 1e6


def table_figures(binary, rows, rounds, folder):
    table, sample = folder / "rows.csv", folder / "sample.txt"
    with table.open("w", encoding="utf-8") as file:
        file.write("id,text\n")
        file.writelines(f"{i},{text}\n" for i, text in enumerate(made_texts(rows)))
    sample.write_text("".join(text + "\n" for text in made_texts(min(rows, 20_000))), encoding="utf-8")
    alone, whole, memory = [], [], []
    for round_ in range(rounds):
        told = subprocess.run([binary, "bench", ROOT / f"serve/models/{MODEL}/1", sample, "--alone", "--json", "--limit", "0",
                               "--batch", "32", "--precision", "f32", "--rounds", "1"],
                              check=True, capture_output=True, text=True).stdout  # fmt: skip
        alone.append(json.loads(told)["engines"][0]["speeds"][0]["texts_per_second"])
        seconds, peak = timed_run([binary, "predict", "--file", table, "--out", folder / f"out-{round_}.csv"])
        whole.append(rows / seconds)
        memory.append(peak)
    return {"rows_per_second": statistics.median(whole), "model_texts_per_second": statistics.median(alone),
            "share": statistics.median(row / text for row, text in zip(whole, alone)), "peak_mb": max(memory)}  # fmt: skip


async def asynchronous(endpoint, texts):
    async with AsyncMaaSClient(api_key="", endpoint=endpoint) as client:
        model = await client.get_model(MODEL)
        begun = time.monotonic()
        answers = await model.predict(texts)
        return time.monotonic() - begun, len(answers)


def client_figures(binary, count, rounds, state):
    texts = list(made_texts(count))
    port, seconds = free_port(), {"synchronous": [], "asynchronous": []}
    with Server([binary, "serve", "--port", port, "--log-requests", "false"], port, {"XDG_STATE_HOME": str(state)}) as server:
        model = MaaSClient(api_key="", endpoint=server.url).get_model(MODEL)
        model.predict(texts[:1000])
        for _ in range(rounds):
            begun = time.monotonic()
            assert len(model.predict(texts)) == count
            seconds["synchronous"].append(time.monotonic() - begun)
            taken, answers = asyncio.run(asynchronous(server.url, texts))
            assert answers == count
            seconds["asynchronous"].append(taken)
    return {kind: statistics.median(times) for kind, times in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/qing")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} CPUs; {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        clients = client_figures(arguments.binary, arguments.texts, arguments.rounds, Path(folder) / "state")
        for kind, seconds in clients.items():
            print(f"{arguments.texts} texts by the {kind} client: {seconds:.2f} s")
        table = table_figures(arguments.binary, arguments.rows, arguments.rounds, Path(folder))
    print(f"{arguments.rows} rows by qing predict: {table['rows_per_second']:.0f} rows/s, at most {table['peak_mb']:.0f} MB")
    print(f"the model alone: {table['model_texts_per_second']:.0f} texts/s; qing predict reaches {table['share']:.2f} of it")


if __name__ == "__main__":
    main()
