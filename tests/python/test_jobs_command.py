"""`qing jobs` and `client.jobs` of the SDK against a running server."""

import asyncio
import json

import pytest
from conftest import RunningServer, synthetic_rows
from maas_sdk import AsyncMaaSClient, InvalidRequestError, JobFailedError, MaaSClient
from job_tools import jsonl


@pytest.fixture(scope="module")
def server(qing, models_root, tmp_path_factory):
    running = RunningServer(qing.binary, "--port", 0, "--models", models_root, "--state", tmp_path_factory.mktemp("state"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(server):
    return MaaSClient(endpoint=server.endpoint)


@pytest.fixture(scope="module")
def training_file(client):
    return client.files.create(file=("train.jsonl", jsonl(synthetic_rows(300)))).id


def jobs(qing, server, *words, check=True):
    return qing("jobs", words[0], "--url", server.endpoint, *words[1:], check=check)


def test_create_wait_show_and_list(qing, server, training_file):
    made = json.loads(jobs(qing, server, "create", "--training-file", training_file, "--suffix", "mine", "--set",
                           "epochs=1", "--set", "width=32", "--set", "layers=1", "--json").stdout)  # fmt: skip
    waited = jobs(qing, server, "wait", made["id"])
    assert "succeeded" in waited.stdout and "step" in waited.stderr
    shown = json.loads(jobs(qing, server, "show", made["id"], "--json").stdout)
    assert shown["fine_tuned_model"].startswith("ft-scratch-mine-") and shown["options"]["width"] == ["32"]
    listed = jobs(qing, server, "list").stdout
    assert made["id"] in listed and shown["fine_tuned_model"] in listed
    events = jobs(qing, server, "events", made["id"]).stdout.splitlines()
    assert "Created fine-tuning job" in events[0] and "successfully completed" in events[-1]


def test_pause_resume_and_cancel(qing, server, training_file):
    made = json.loads(jobs(qing, server, "create", "--training-file", training_file, "--set", "epochs=200", "--json").stdout)
    while json.loads(jobs(qing, server, "show", made["id"], "--json").stdout)["status"] == "validating_files":
        pass
    assert "paused" in jobs(qing, server, "pause", made["id"]).stdout
    waited = jobs(qing, server, "wait", made["id"], check=False)
    assert waited.returncode == 1 and "is paused" in waited.stderr
    assert json.loads(jobs(qing, server, "resume", made["id"], "--json").stdout)["status"] in {"queued", "running"}
    assert "cancelled" in jobs(qing, server, "cancel", made["id"]).stdout
    again = jobs(qing, server, "cancel", made["id"], check=False)
    assert again.returncode == 1 and "cannot be cancelled" in again.stderr


def test_wrong_words(qing, server, training_file):
    for words in (("show", "../models"), ("create", "--training-file", training_file, "--set", "epochs")):
        assert jobs(qing, server, *words, check=False).returncode == 2
    refused = jobs(qing, server, "create", "--training-file", training_file, "--set", "epochs=0", check=False)
    assert refused.returncode == 1 and "epochs" in refused.stderr


def test_the_sdk_waits_with_a_line_of_progress(client, training_file, capsys):
    job = client.jobs.create(training_file=training_file, epochs=1, width=32, layers=1, metadata={"by": "sdk"}).wait(interval=0.1)
    assert job.status == "succeeded" and job.done and job.step == job.steps > 0
    assert job.id in capsys.readouterr().err
    assert client.get_model(job.model).predict("I love this film") in {"negative", "neutral", "positive"}
    assert [one.id for one in client.jobs.list(metadata={"by": "sdk"})] == [job.id]
    assert client.jobs.retrieve(job.id).model == job.model
    assert job.events()[-1]["message"] == "The job has successfully completed"

    async def again():
        async with AsyncMaaSClient(endpoint=client.endpoint) as other:
            made = await other.jobs.create(training_file=training_file, epochs=1, width=32, layers=1, metadata={"by": "async"})
            assert (await made.wait(interval=0.1, progress=False)).status == "succeeded"
            assert [one.id async for one in other.jobs.list(metadata={"by": "async"})] == [made.id]
            assert (await made.events())[-1]["message"] == "The job has successfully completed"
            slow = await other.jobs.create(training_file=training_file, epochs=300)
            assert (await slow.cancel()).status == "cancelled"

    asyncio.run(again())


def test_the_sdk_tells_why_a_job_failed(client):
    bad = client.files.create(file=("bad.jsonl", jsonl([("one", f"text {i}") for i in range(20)]))).id
    with pytest.raises(JobFailedError, match="two") as failed:
        client.jobs.create(training_file=bad).wait(progress=False, interval=0.1)
    assert failed.value.code == "invalid_training_file"
    with pytest.raises(InvalidRequestError, match="epochs"):
        client.jobs.create(training_file=bad, epochs=-1)
    slow = client.jobs.create(training_file=client.files.create(file=("t.jsonl", jsonl(synthetic_rows(300)))).id, epochs=300)
    with pytest.raises(TimeoutError):
        slow.wait(progress=False, interval=0.1, timeout=0.5)
    assert slow.cancel().status == "cancelled"
