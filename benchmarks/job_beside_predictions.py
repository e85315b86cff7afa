"""Predictions beside a training job: their latency with and without the job, and the job's speed beside `qing train`.

    python3 benchmarks/job_beside_predictions.py --binary build/release/qing [--seconds 20] [--rounds 3] [--json]

One client sends single texts at a fixed rate over one connection. Rounds without and with a running job alternate, and every
second pair begins with the job. A round with the job begins when the job has made steps and some requests have been answered,
and the job has to make more steps in it. The 99th percentile is taken over all requests of a kind, so that a disturbance of
the machine meets both. It needs at least 1000 of them. `job_cores` is the CPU time of the job's process in a second of the
rounds: above 1.05 it does not leave the other core alone.

Then, in as many rounds, a job alone and `qing train` with the same texts, options and threads train one epoch, in turns. The
speeds are the medians of tokens per second, and their ratio is the median of the rounds' quotients. Exits with 1 when the
percentile is more than 1.5 times as long, the job uses more than its cores, or reaches less than 97% of the speed.
"""

import argparse
import http.client
import io
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

WORDS = "good bad fine film book phone never always quite really slow fast loud bright cheap broken lovely awful".split()
MOST_SLOWER, LEAST_SPEED, MOST_CORES = 1.5, 0.97, 1.05
LEAST_CORES = 0.5  # of a job on a quiet machine
LEAST_REQUESTS = 1000  # for the 99th percentile, which ten of them exceed then
EPOCHS = 100  # of the job beside predictions, which is cancelled


def rows(count, seed=1):
    rng = random.Random(seed)
    return [{"label": rng.choice(["negative", "neutral", "positive"]), "text": " ".join(rng.choices(WORDS, k=24))}
            for _ in range(count)]  # fmt: skip


class Service:
    def __init__(self, binary, state):
        self.process = subprocess.Popen([binary, "serve", "--port", "0", "--state", state, "--log-requests", "false"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        self.url = self.process.stdout.readline().split()[-1]

    def ask(self, method, path, body=None, headers=None):
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data, headers or {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def upload(self, data):
        text = "\n".join(json.dumps(row) for row in data).encode()
        body = io.BytesIO()
        for name, value in (("purpose", b"fine-tune"), ("file", text)):
            extra = '; filename="data.jsonl"' if name == "file" else ""
            body.write(f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n")
        body.write(b"--b--\r\n")
        return self.ask("POST", "/v1/files", body.getvalue(), {"Content-Type": "multipart/form-data; boundary=b"})["id"]

    def job(self, training_file, epochs, validation_file=None):
        return self.ask("POST", "/v1/jobs", {"model": "scratch", "training_file": training_file, "epochs": epochs,
                                             "validation_file": validation_file})["id"]  # fmt: skip

    def wait(self, job, statuses):
        while True:
            now = self.ask("GET", f"/v1/jobs/{job}")
            if now["status"] in statuses:
                return now
            time.sleep(0.5)

    def step(self, job):
        return self.ask("GET", f"/v1/jobs/{job}")["progress"]["step"]

    def start_job(self, training_file):
        """A job that makes steps, and its process."""
        job = self.job(training_file, EPOCHS)
        while self.step(job) < 3:
            time.sleep(0.1)
        (process,) = self.children()
        return job, process

    def children(self):
        return [int(pid) for task in Path(f"/proc/{self.process.pid}/task").iterdir()
                for pid in (task / "children").read_text().split()]  # fmt: skip

    def end_job(self, job):
        self.ask("POST", f"/v1/jobs/{job}/cancel", {})
        while self.children():
            time.sleep(0.1)


def computed_seconds(process):
    """CPU time of all threads of a process."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{process}/task").glob("*/schedstat")) / 1e9


def latencies(url, seconds, rate, rng):
    """Milliseconds of requests that begin at fixed times, so that a slow one does not spare the next."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    found = []
    begin = time.perf_counter()
    for i in range(int(seconds * rate)):
        due = begin + i / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        body = json.dumps({"text": " ".join(rng.choices(WORDS, k=24))})
        connection.request("POST", "/v1/models/emotion_analysis/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        found.append(1000 * (time.perf_counter() - due))
    return found


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def tokens_per_second(metrics):
    """Of the last step, whose figure is the mean over the run."""
    steps = [json.loads(line) for line in Path(metrics).read_text().splitlines()]
    return [step for step in steps if step["type"] == "step"][-1]["tokens_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/qing")
    parser.add_argument("--seconds", type=float, default=20, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=20_000, help="texts of the job; fewer for a quick look")
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        service = Service(arguments.binary, state)
        try:
            training_file, held = service.upload(rows(arguments.texts)), service.upload(rows(200, 2))
            latencies(service.url, 2, arguments.rate, rng)  # warms up
            alone, beside, computed = [], [], 0.0
            for turn in range(arguments.rounds):
                for with_job in (False, True) if turn % 2 == 0 else (True, False):
                    job, process = service.start_job(training_file) if with_job else (None, None)
                    latencies(service.url, 1, arguments.rate, rng)
                    if not with_job:
                        alone += latencies(service.url, arguments.seconds, arguments.rate, rng)
                        continue
                    step, before = service.step(job), computed_seconds(process)
                    beside += latencies(service.url, arguments.seconds, arguments.rate, rng)
                    computed += computed_seconds(process) - before
                    assert service.step(job) > step, "the job made no step beside the predictions"
                    service.end_job(job)
            if min(len(alone), len(beside)) < LEAST_REQUESTS:
                print(f"note: a 99th percentile of {len(beside)} requests is noise", file=sys.stderr)
            cores = computed / (arguments.seconds * arguments.rounds)
            if cores < LEAST_CORES:
                print(f"note: the job got {cores:.2f} of a core; other programs use this machine", file=sys.stderr)
            in_job, in_command = [], []
            for name, data in (("data", rows(arguments.texts)), ("dev", rows(200, 2))):
                (Path(folder) / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in data))
            for turn in range(arguments.rounds):
                job = service.wait(service.job(training_file, 1, held), {"succeeded", "failed"})
                assert job["status"] == "succeeded", job["error"]
                model = state / "models" / job["fine_tuned_model"] / "1"
                in_job.append(tokens_per_second(model / "run/metrics.jsonl"))
                record = json.loads((model / "run/run.json").read_text())["options"]
                out = Path(folder) / f"out{turn}"
                words = [arguments.binary, "train", "--out", out, "--data", f"{folder}/data.jsonl", "--dev", f"{folder}/dev.jsonl"]
                for option, values in record.items():
                    if option not in ("out", "data", "dev") and any(values):
                        words += [f"--{option.replace('_', '-')}", ",".join(values)]
                subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                in_command.append(tokens_per_second(out / "run/metrics.jsonl"))
        finally:
            service.process.terminate()
            service.process.wait()
    figures = {
        "requests": len(alone) + len(beside),
        "p50_alone_ms": percentile(alone, 0.5), "p50_beside_ms": percentile(beside, 0.5),
        "p99_alone_ms": percentile(alone, 0.99), "p99_beside_ms": percentile(beside, 0.99),
        "p99_ratio": percentile(beside, 0.99) / percentile(alone, 0.99),
        "job_cores": cores,
        "job_tokens_per_second": statistics.median(in_job), "train_tokens_per_second": statistics.median(in_command),
        "speed_ratio": statistics.median(a / b for a, b in zip(in_job, in_command)),
    }  # fmt: skip
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<24} {value:.3f}" if isinstance(value, float) else f"{name:<24} {value}")
    kept = figures["p99_ratio"] <= MOST_SLOWER and figures["speed_ratio"] >= LEAST_SPEED and figures["job_cores"] <= MOST_CORES
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
