"""Training jobs through OpenAI's own client: made, followed, stopped, killed, shared by servers, and what they leave."""

import csv
import io
import json
import os
import re
import random
import signal
import sqlite3
import time
import urllib.error
import urllib.request

import openai
import pytest
from job_tools import (
    QUICK, client_of, finished, jsonl, kill, messages, supervised, upload, wait_for, weights_of, worker_of, workers,
)  # fmt: skip
from conftest import RunningServer, synthetic_rows

KILLS = int(os.environ.get("QING_JOB_KILLS", 12))
SLOW = {"n_epochs": 40, "batch_size": 4, "learning_rate_multiplier": 1}  # long enough to be interrupted


@pytest.fixture(scope="module")
def shared(qing, models_root, tmp_path_factory):
    """A server for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("state")
    server = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--state", folder)
    server.folder = folder
    yield server
    server.stop()


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def start(serve, models_root, state):
    return lambda *arguments: serve("--models", models_root, "--state", state, *arguments)


def make(client, training_file, hyperparameters=QUICK, **more):
    more.setdefault("model", "scratch")
    return client.fine_tuning.jobs.create(training_file=training_file, method=supervised(hyperparameters), seed=7, **more)


def native(server, body):
    """POST /v1/jobs."""
    request = urllib.request.Request(server.endpoint + "/v1/jobs", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_upload_train_and_classify(shared):
    client = client_of(shared)
    training = upload(client, synthetic_rows(600, seed=1))
    job = make(client, training, suffix="my try", metadata={"team": "a"})
    assert job.object == "fine_tuning.job" and job.id.startswith("ftjob-")
    assert job.status in {"validating_files", "queued", "running"} and job.fine_tuned_model is None
    assert job.method.supervised.hyperparameters.n_epochs == 2 and job.metadata == {"team": "a"}
    done = finished(client, job)
    assert done.status == "succeeded", (done.error, shared.logged())
    assert done.fine_tuned_model.startswith("ft-scratch-my-try-") and done.seed == 7
    assert done.trained_tokens > 600 and done.finished_at >= done.created_at and done.error is None
    assert done.estimated_finish is None and done.organization_id == "default"

    body = {"model": done.fine_tuned_model, "input": ["I love this film", "I hate this film"]}
    request = urllib.request.Request(shared.endpoint + "/v1/classify", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        data = json.load(answer)["data"]
    assert [row["index"] for row in data] == [0, 1] and all(row["num_classes"] == 3 for row in data)

    said = messages(client, job)
    assert said[0] == f"Created fine-tuning job: {job.id}" and said[-1] == "The job has successfully completed"
    assert any("Files validated: " in line for line in said) and any("training loss=" in line for line in said)

    rows = list(csv.DictReader(io.StringIO(client.files.content(done.result_files[0]).text)))
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    assert float(rows[0]["train_loss"]) > 0 and any(row["valid_accuracy"] for row in rows)

    folder = shared.folder / "models" / done.fine_tuned_model / "1"
    manifest = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert {"README.md", "config.json", "model.safetensors"} <= set(manifest)
    assert str(shared.folder) not in (folder / "README.md").read_text()
    assert not (shared.folder / "jobs" / job.id).exists(), "the job's copy of the texts stays"


def test_pages_of_jobs_and_events(shared):
    client = client_of(shared)
    training = upload(client, synthetic_rows(60, seed=2))
    jobs = [make(client, training, metadata={"round": str(i % 2)}) for i in range(5)]
    listed = [job.id for job in client.fine_tuning.jobs.list(limit=2)]
    assert listed[:5] == [job.id for job in jobs[::-1]]
    odd = [job.id for job in client.fine_tuning.jobs.list(metadata={"round": "1"}, limit=1)]
    assert odd == [jobs[3].id, jobs[1].id]
    for job in jobs:
        finished(client, job)
    one_by_one = [event.id for event in client.fine_tuning.jobs.list_events(jobs[0].id, limit=3)]
    assert one_by_one == [event.id for event in client.fine_tuning.jobs.list_events(jobs[0].id, limit=1000)]
    assert len(set(one_by_one)) == len(one_by_one) > 5
    checkpoints = client.fine_tuning.jobs.checkpoints.list(jobs[0].id).data
    assert [point.fine_tuned_model_checkpoint for point in checkpoints] == [
        client.fine_tuning.jobs.retrieve(jobs[0].id).fine_tuned_model
    ]


def test_a_served_model_is_fine_tuned_with_its_labels_and_with_others(shared):
    client = client_of(shared)
    same = make(client, upload(client, synthetic_rows(300, seed=3)), model="emotion_analysis")
    rows = [("good" if label == "positive" else "other", text) for label, text in synthetic_rows(300, seed=4)]
    other = make(client, upload(client, rows), model="emotion_analysis")
    for job, labels in ((same, ["negative", "neutral", "positive"]), (other, ["good", "other"])):
        done = finished(client, job)
        assert done.status == "succeeded", done.error
        with urllib.request.urlopen(f"{shared.endpoint}/v1/models/{done.fine_tuned_model}") as answer:
            assert json.load(answer)["labels"] == labels
        assert done.fine_tuned_model.startswith("ft-emotion_analysis-")


def test_events_as_a_stream(shared):
    client = client_of(shared)
    job = make(client, upload(client, synthetic_rows(300, seed=5)))
    request = urllib.request.Request(f"{shared.endpoint}/v1/fine_tuning/jobs/{job.id}/events",
                                     headers={"Accept": "text/event-stream"})  # fmt: skip
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        lines = answer.read().decode().splitlines()
    data = [line[6:] for line in lines if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    streamed = [json.loads(line)["message"] for line in data[:-1]]
    assert streamed == messages(client, job)
    last = [line[4:] for line in lines if line.startswith("id: ")][-2]
    again = urllib.request.Request(request.full_url + "?stream=true", headers={"Last-Event-ID": last})
    with urllib.request.urlopen(again, timeout=60) as answer:
        text = answer.read().decode()
    assert text.count("data: ") == 2 and streamed[-1] in text


def test_a_job_is_made_once_for_an_idempotency_key(shared):
    client = client_of(shared)
    training = upload(client, synthetic_rows(60, seed=6))
    header = {"Idempotency-Key": "one-and-only"}
    first = make(client, training, extra_headers=header)
    assert make(client, training, extra_headers=header).id == first.id
    with pytest.raises(openai.BadRequestError):
        make(client, training, suffix="other", extra_headers=header)
    assert make(client, training).id != first.id


@pytest.mark.parametrize("body, param", [
    ({"model": "scratch"}, "training_file"),
    ({"model": "scratch", "training_file": "file-none"}, "training_file"),
    ({"training_file": "file-none"}, "model"),
    ({"model": "scratch", "training_file": "T", "suffix": "x" * 65}, "suffix"),
    ({"model": "scratch", "training_file": "T", "metadata": {str(i): "" for i in range(17)}}, "metadata"),
    ({"model": "scratch", "training_file": "T", "hyperparameters": {"n_epochs": 0}}, "n_epochs"),
    ({"model": "scratch", "training_file": "T", "method": {"type": "dpo"}}, "method"),
    ({"model": "scratch", "training_file": "T", "hyperparameters": {"n_epochs": 2}, "method": supervised({"n_epochs": 1})},
     "hyperparameters"),
    ({"model": "scratch", "training_file": "T", "hyperparameters": {"n_epochs": 2}, "method": {"type": "supervised"}},
     "hyperparameters"),
    ({"model": "scratch", "training_file": "T", "layers": 2}, "layers"),
])  # fmt: skip
def test_a_wrong_request_names_its_field(shared, body, param):
    client = client_of(shared)
    if body.get("training_file") == "T":
        body = {**body, "training_file": upload(client, synthetic_rows(20))}
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/fine_tuning/jobs", body=body, cast_to=object)
    assert refused.value.param == param and refused.value.type == "invalid_request_error"


def test_hyperparameters_may_be_given_twice_if_they_agree(shared):
    """openai 3.57.0 sends both members when it is given both."""
    client = client_of(shared)
    training = upload(client, synthetic_rows(20))
    for older in (QUICK, {**QUICK, "n_epochs": "auto"}, {}):
        job = make(client, training, extra_body={"hyperparameters": older})
        assert job.method.supervised.hyperparameters.n_epochs == QUICK["n_epochs"]
        client.fine_tuning.jobs.cancel(job.id)


def test_an_unknown_model_or_job_is_not_found(shared):
    client = client_of(shared)
    training = upload(client, synthetic_rows(20))
    with pytest.raises(openai.NotFoundError):
        make(client, training, model="none")
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")


def test_a_job_with_bad_data_fails_and_says_where(shared):
    client = client_of(shared)
    lines = jsonl(synthetic_rows(30)).splitlines()
    lines[4] = b'{"messages": "none"}'
    done = finished(client, make(client, upload(client, b"\n".join(lines))))
    assert done.status == "failed" and done.error.code == "invalid_training_file"
    assert done.error.param == "training_file" and "line 5" in done.error.message
    assert done.fine_tuned_model is None and done.finished_at

    one_label = finished(client, make(client, upload(client, [("a", f"text {i}") for i in range(30)])))
    assert one_label.status == "failed" and "two" in one_label.error.message


def test_options_of_train_in_the_native_route(shared):
    client = client_of(shared)
    training = upload(client, synthetic_rows(100))

    job = native(shared, {"model": "scratch", "training_file": training, "layers": 1, "width": 32, "max_length": 32,
                          "epochs": 1, "labels": ["positive", "neutral", "negative"]})  # fmt: skip
    done = wait_for(lambda: (now := client.fine_tuning.jobs.retrieve(job["id"])).status == "succeeded" and now)
    config = json.loads((shared.folder / "models" / done.fine_tuned_model / "1/config.json").read_text())
    assert config["hidden_size"] == 32 and config["num_hidden_layers"] == 1
    assert list(config["id2label"].values()) == ["positive", "neutral", "negative"]
    for wrong in ({"width": 0}, {"from": "/etc"}, {"teachers": ["/etc"]}, {"threads": 64}, {"layers": "2"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            native(shared, {"model": "scratch", "training_file": training, **wrong})
        answer = json.load(refused.value)
        assert refused.value.code == 422 and next(iter(wrong)) in answer["error"]


def test_a_search_for_settings(shared):
    client = client_of(shared)
    body = {"model": "scratch", "training_file": upload(client, synthetic_rows(400)), "epochs": 2, "batch": 16,
            "search": {"settings": 3, "epochs": 2}}  # fmt: skip
    job = native(shared, body)
    done = wait_for(lambda: (now := client.fine_tuning.jobs.retrieve(job["id"])).status == "succeeded" and now)
    scores = done.outcome["search"]
    assert len(scores) == 5, "three settings, then two of them"
    assert sum(int(name.split(":")[1]) for name in scores) <= 2 * 23
    for wrong in ({"settings": 1}, {"settings": 2.5}, {"minutes": 1}, 3):
        with pytest.raises(urllib.error.HTTPError):
            native(shared, {**body, "search": wrong})


def test_models_are_listed_and_deleted(shared):
    client = client_of(shared)
    done = finished(client, make(client, upload(client, synthetic_rows(100, seed=8))))
    listed = {model.id: model for model in client.models.list()}
    assert listed[done.fine_tuned_model].owned_by == "default" and listed["emotion_analysis"].owned_by == "qing"
    assert client.models.retrieve(done.fine_tuned_model).id == done.fine_tuned_model
    gone = client.models.delete(done.fine_tuned_model)
    assert gone.deleted and gone.id == done.fine_tuned_model
    assert done.fine_tuned_model not in [model.id for model in client.models.list()]
    assert not (shared.folder / "models" / done.fine_tuned_model).exists()
    for name in (done.fine_tuned_model, "emotion_analysis"):
        with pytest.raises(openai.NotFoundError):
            client.models.delete(name)


def test_cancel_ends_the_process_and_leaves_no_model(start, state):
    server = start()
    client = client_of(server)
    job = make(client, upload(client, synthetic_rows(600)), SLOW)
    process = worker_of(state, job)
    wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running")
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    wait_for(lambda: not workers(state) and not (state / "jobs" / job.id).exists())
    assert not os.path.exists(f"/proc/{process}")
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.cancel(job.id)
    assert not list((state / "models").glob("*")) if (state / "models").exists() else True


def trained(client, job):
    return finished(client, job).fine_tuned_model


def test_pause_and_resume_end_with_the_same_bits(start, state):
    client = client_of(start())
    training = upload(client, synthetic_rows(600))
    hyperparameters = {**SLOW, "n_epochs": 6}
    expected = weights_of(state, trained(client, make(client, training, hyperparameters)))
    job = make(client, training, hyperparameters)
    wait_for(lambda: any("Step" in line for line in messages(client, job)))
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    wait_for(lambda: not workers(state))
    time.sleep(1.5)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "paused" and not workers(state)
    assert client.fine_tuning.jobs.resume(job.id).status in {"queued", "running"}
    assert weights_of(state, trained(client, job)) == expected
    assert "Fine-tuning job resumed" in messages(client, job)


def test_a_paused_job_that_is_cancelled_leaves_no_texts(start, state):
    client = client_of(start())
    job = make(client, upload(client, synthetic_rows(600)), SLOW)
    wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running")
    client.fine_tuning.jobs.pause(job.id)
    wait_for(lambda: not workers(state))
    assert (state / "jobs" / job.id / "data.jsonl").exists()
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    wait_for(lambda: not (state / "jobs" / job.id).exists())


def test_errors_name_no_place_on_the_server(start, state):
    client = client_of(start())
    rows = "".join(json.dumps({"text": f"a text {i}", "label": "one"}) + "\n" for i in range(50)) + '{"text": 5}\n'
    job = make(client, client.files.create(file=("x.jsonl", rows.encode()), purpose="fine-tune").id)
    wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "failed")
    error = client.fine_tuning.jobs.retrieve(job.id).error
    assert error.param == "training_file" and str(state) not in error.message, error

    job = make(client, upload(client, synthetic_rows(600)), SLOW)

    def crashed():
        for process in workers(state).get(job.id, []):
            kill(process, signal.SIGSEGV)
        return client.fine_tuning.jobs.retrieve(job.id).status == "failed"

    wait_for(crashed)
    error = client.fine_tuning.jobs.retrieve(job.id).error
    assert error.code == "worker_ended" and "signal 11" in error.message, error
    for text in (error.message, *messages(client, job)):
        assert str(state) not in text and str(state.parent) not in text, text
    wait_for(lambda: not (state / "jobs" / job.id / "data.jsonl").exists())
    assert (state / "jobs" / job.id / "log.txt").exists() == ("log.txt" in error.message), "it names what there is"


def test_a_worker_takes_few_things_along(start, state, monkeypatch):
    monkeypatch.setenv("QING_SECRET", "s3cret")
    client = client_of(start("--job-memory", 3000))
    job = make(client, upload(client, synthetic_rows(600)), SLOW)
    wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running")
    process = worker_of(state, job)
    environment = open(f"/proc/{process}/environ", "rb").read()
    assert b"s3cret" not in environment and b"HOME" not in environment
    files = {os.readlink(f"/proc/{process}/fd/{number}") for number in os.listdir(f"/proc/{process}/fd")}
    job_folder = str(state / "jobs" / job.id)
    foreign = {file for file in files if not file.startswith((job_folder, "/dev/null"))}
    assert not foreign, foreign
    # The worker limits itself when it starts.
    wait_for(lambda: re.search(rf"Max address space +{3000 << 20} ", open(f"/proc/{process}/limits").read()))
    assert os.getpriority(os.PRIO_PROCESS, process) == 10 and os.sched_getscheduler(process) == os.SCHED_BATCH
    client.fine_tuning.jobs.cancel(job.id)


def test_a_job_over_its_memory_fails(start):
    server = start("--job-memory", 300)
    client = client_of(server)
    body = {"model": "scratch", "training_file": upload(client, synthetic_rows(100)), "width": 1024, "layers": 12}
    job = client.fine_tuning.jobs.retrieve(native(server, body)["id"])
    done = finished(client, job)
    assert done.status == "failed" and done.error.code == "memory_limit", done.error
    assert "batch size" in done.error.message


def test_no_jobs(start):
    client = client_of(start("--jobs", 0))
    training = upload(client, synthetic_rows(20))
    with pytest.raises(openai.PermissionDeniedError):
        make(client, training)


def test_a_project_has_a_limit_of_unfinished_jobs(start, state):
    server = start("--unfinished-jobs", 3)
    client = client_of(server)
    training = upload(client, synthetic_rows(600))
    jobs = [make(client, training, SLOW) for _ in range(3)]
    header = {"Idempotency-Key": "later"}
    with pytest.raises(openai.RateLimitError) as refused:
        make(client, training, extra_headers=header)
    assert refused.value.code == "too_many_jobs" and refused.value.type == "rate_limit_error"
    assert "3 unfinished jobs and may have 3" in refused.value.message and "--unfinished-jobs" in refused.value.message
    with pytest.raises(urllib.error.HTTPError) as refused:
        native(server, {"model": "scratch", "training_file": training})
    answer = json.load(refused.value)
    assert refused.value.code == 429 and answer["code"] == "too_many_jobs" and "--unfinished-jobs" in answer["error"]
    assert len(job_rows(state)) == 3

    wait_for(lambda: client.fine_tuning.jobs.retrieve(jobs[0].id).status == "running")
    client.fine_tuning.jobs.pause(jobs[0].id)
    with pytest.raises(openai.RateLimitError):  # a paused job keeps its texts
        make(client, training)
    client.fine_tuning.jobs.cancel(jobs[0].id)
    made = make(client, training, extra_headers=header)
    assert make(client, training, extra_headers=header).id == made.id, "a repeated request makes no job"
    for job in (*jobs[1:], made):
        client.fine_tuning.jobs.cancel(job.id)


def test_only_the_next_jobs_are_prepared(start, state):
    client = client_of(start())
    training = upload(client, synthetic_rows(600))
    jobs = [make(client, training, SLOW) for _ in range(5)]

    def statuses():
        return [client.fine_tuning.jobs.retrieve(job.id).status for job in jobs]

    wait_for(lambda: statuses()[:2] == ["running", "queued"])
    time.sleep(2.5)  # longer than the server takes to look for more
    assert statuses() == ["running", "queued", "validating_files", "validating_files", "validating_files"]
    assert {path.name for path in (state / "jobs").iterdir()} == {job.id for job in jobs[:2]}, "copies of texts"
    client.fine_tuning.jobs.cancel(jobs[0].id)
    wait_for(lambda: statuses()[1:3] == ["running", "queued"])
    client.fine_tuning.jobs.cancel(jobs[2].id)  # its place goes to the next one
    wait_for(lambda: statuses()[3] == "queued")
    assert statuses()[4] == "validating_files"
    for job in (jobs[1], *jobs[3:]):
        client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: not workers(state) and not list((state / "jobs").iterdir()))


def job_rows(state):
    with sqlite3.connect(state / "qing.db") as database:
        return database.execute("SELECT id, status, model FROM jobs ORDER BY number").fetchall()


def stage_of(state, job):
    """What a job is doing, as its folder tells."""
    folder = state / "jobs" / job.id
    if not folder.exists():
        return "before or after"
    files = {path.name for path in folder.iterdir()}
    return "register" if "outcome.json" in files else "train" if "plan.json" in files else "prepare"


def wait_for_a_moment(rng, kind, state, job, whole):
    """Of the whole job, of its first steps, or of those after its training."""
    if kind == "any":
        return time.sleep(rng.uniform(0, whole))
    if kind == "register":
        folder = state / "jobs" / job.id
        wait_for(lambda: (folder / "outcome.json").exists() or not folder.exists(), interval=0.002)
    time.sleep(rng.uniform(0, 0.15))


def test_random_kills_lose_and_double_nothing(qing, models_root, state, tmp_path):
    """Kills of the job, of the server and of both, at random moments, also of those before and after the training."""
    rng = random.Random(20261129)
    servers = []

    def start():
        servers.append(RunningServer(qing.binary, "--port", 0, "--models", models_root, "--state", state))
        return client_of(servers[-1])

    client = start()
    training = upload(client, synthetic_rows(600))
    hyperparameters = {"n_epochs": 4, "batch_size": 8, "learning_rate_multiplier": 1}
    begun = time.monotonic()
    expected = weights_of(state, trained(client, make(client, training, hyperparameters)))
    whole = time.monotonic() - begun
    jobs, kills, figures = [], 0, {}
    while kills < KILLS:
        job = make(client, training, hyperparameters)
        jobs.append(job)
        spared = 0  # kills of this job's process; the third would be its last attempt
        while kills < KILLS and client.fine_tuning.jobs.retrieve(job.id).status not in {"succeeded", "failed"}:
            wait_for_a_moment(rng, ["any", "prepare", "any", "register"][kills % 4], state, job, whole)
            kills += 1
            victim = rng.choice(["server", "server", "job", "both"]) if spared < 2 else "server"
            spared += victim != "server"
            met = f"{victim}, {stage_of(state, job)}"
            figures[met] = figures.get(met, 0) + 1
            for process in workers(state).get(job.id, []) if victim != "server" else []:
                kill(process)
            if victim != "job":
                servers[-1].process.kill()
                servers[-1].process.wait()
                client = start()
            if victim == "job" and kills % 2 == 0:
                break  # another job beside it
    models = [trained(client, job) for job in jobs]
    print(json.dumps({"kills": kills, "jobs": len(jobs), "met": figures}))
    assert None not in models, [finished(client, job).error for job in jobs]
    assert {weights_of(state, model) for model in models} == {expected}
    assert [row[0] for row in job_rows(state)[1:]] == [job.id for job in jobs]
    folders = sorted(path.name for path in (state / "models").iterdir() if not path.name.startswith("."))
    assert folders == sorted(row[2] for row in job_rows(state)), "a model without a job, or a job without a model"
    results = [file.filename for file in client.files.list(purpose="fine-tune-results")]
    assert len(results) == len(set(results)) == len(jobs) + 1
    wait_for(lambda: not list((state / "jobs").iterdir()) and not workers(state))
    if KILLS >= 60:
        assert {met.split(", ")[1] for met in figures} >= {"prepare", "train", "register"}, figures
    for server in servers:
        server.stop()


def test_two_servers_on_one_state(start, state):
    first, second = start(), start()
    one, two = client_of(first), client_of(second)
    training = upload(one, synthetic_rows(600))
    jobs = [make(client, training) for client in (one, two, one, two)]
    seen = set()

    def look():
        running = workers(state)
        assert all(len(processes) == 1 for processes in running.values()), running
        seen.update(running)
        return all(one.fine_tuning.jobs.retrieve(job.id).status == "succeeded" for job in jobs)

    wait_for(look, 240)
    models = {trained(one, job) for job in jobs}
    assert len(models) == 4 and len({weights_of(state, model) for model in models}) == 1
    wait_for(lambda: models <= {model.id for model in two.models.list()})
    wait_for(lambda: models <= {model.id for model in one.models.list()})
    gone = models.pop()
    one.models.delete(gone)
    wait_for(lambda: gone not in {model.id for model in two.models.list()})


def test_a_stopped_server_goes_on_at_the_next_start(start, state):
    server = start()
    client = client_of(server)
    training = upload(client, synthetic_rows(600))
    hyperparameters = {**SLOW, "n_epochs": 6}
    expected = weights_of(state, trained(client, make(client, training, hyperparameters)))
    job = make(client, training, hyperparameters)
    wait_for(lambda: any("Step" in line for line in messages(client, job)))
    code, log = server.stop()
    assert code == 0, log
    assert not workers(state)
    client = client_of(start())
    assert weights_of(state, trained(client, job)) == expected
    assert "The job goes on from its last checkpoint" in messages(client, job)


def test_a_changed_file_of_a_model_is_not_served(start, state):
    server = start()
    client = client_of(server)
    model = trained(client, make(client, upload(client, synthetic_rows(100))))
    server.stop()
    weights = state / "models" / model / "1/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    client = client_of(start())
    assert model not in [one.id for one in client.models.list()]
    assert "emotion_analysis" in [one.id for one in client.models.list()]
