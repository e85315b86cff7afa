"""What the tests of training jobs share: uploads, jobs and the processes behind them."""

import hashlib
import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import openai

QUICK = {"n_epochs": 2, "batch_size": 16, "learning_rate_multiplier": 2}
FINAL = {"succeeded", "failed", "cancelled"}


def client_of(server, key="any"):
    return openai.OpenAI(base_url=server.endpoint + "/v1", api_key=key, max_retries=0, timeout=60)


def jsonl(rows):
    """Rows as OpenAI's fine-tuning of chats takes them."""
    lines = []
    for label, text in rows:
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": label}]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    return "\n".join(lines).encode() + b"\n"


def upload(client, rows, name="train.jsonl"):
    content = rows if isinstance(rows, bytes) else jsonl(rows)
    return client.files.create(file=(name, io.BytesIO(content)), purpose="fine-tune").id


def supervised(hyperparameters):
    return {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}


def wait_for(look, seconds=120, interval=0.05):
    """What `look` returns, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(interval)
    raise AssertionError(f"nothing came within {seconds} s")


def finished(client, job, seconds=180):
    def look():
        now = client.fine_tuning.jobs.retrieve(job.id)
        return now if now.status in FINAL else None

    return wait_for(look, seconds, 0.1)


def messages(client, job):
    """Of all events, the oldest first."""
    return [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)][::-1]


def workers(folder):
    """Processes that work on jobs of this state folder, by the job's id."""
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = process.joinpath("cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 4 and words[1] == b"work" and words[4].startswith(bytes(folder)):
            found.setdefault(Path(os.fsdecode(words[4])).name, []).append(int(process.name))
    return found


def worker_of(folder, job):
    return wait_for(lambda: workers(folder).get(job.id))[0]


def kill(process, number=signal.SIGKILL):
    try:
        os.kill(process, number)
    except ProcessLookupError:
        pass


def end_daemons(daemons):
    """Ends processes, those that were started last first: by SIGTERM, and by SIGKILL after 15 seconds."""
    for daemon in daemons[::-1]:
        daemon.terminate()
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def weights_of(folder, model):
    return hashlib.sha256((folder / "models" / model / "1/model.safetensors").read_bytes()).hexdigest()
