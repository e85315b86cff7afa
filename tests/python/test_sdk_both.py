"""The Python SDK's client for asyncio has what the other one has."""

import asyncio
import inspect
import time

import pytest
from test_sdk import maas_sdk, service  # noqa: F401  the fixtures

PAIRS = [
    ("client", maas_sdk.MaaSClient, "AsyncMaaSClient", set()),
    ("model", maas_sdk.Model, "AsyncModel", {"apredict"}),  # which is predict() itself for asyncio
    ("files", maas_sdk.Files, "AsyncFiles", set()),
    ("jobs", maas_sdk.Jobs, "AsyncJobs", set()),
    ("job", maas_sdk.Job, "AsyncJob", set()),
    ("feedback", maas_sdk.feedback.Feedback, "AsyncFeedback", set()),
]


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def methods(kind):
    return {name for name in public(kind) if inspect.isfunction(getattr(kind, name))}


@pytest.mark.parametrize(("plain", "other", "only"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_both_clients_have_the_same_methods_and_arguments(plain, other, only):
    other = getattr(maas_sdk, other, None) or getattr(maas_sdk.aio, other)
    assert methods(plain) - only == methods(other)
    for name in sorted(methods(other)) + ["__init__"]:
        given, taken = (inspect.signature(getattr(kind, name)).parameters.values() for kind in (plain, other))
        assert [(p.name, p.kind, p.default) for p in given] == [(p.name, p.kind, p.default) for p in taken], name


def test_both_clients_have_the_same_attributes(service):  # noqa: F811
    job = {"id": "j", "object": "fine_tuning.job", "status": "queued", "model": "scratch"}

    async def use(plain):
        async with maas_sdk.AsyncMaaSClient(endpoint=service.endpoint) as other:
            assert public(plain) == public(other)
            for name in ("endpoint", "timeout", "max_retries", "batch_size", "concurrency"):
                assert getattr(plain, name) == getattr(other, name)
            one, two = plain.get_model("mood"), await other.get_model("mood")
            assert public(one) - {"apredict"} == public(two)
            service.failures = [(200, [], job), (200, [], job)]
            assert public(plain.jobs.retrieve("j")) == public(await other.jobs.retrieve("j"))

    with maas_sdk.MaaSClient(endpoint=service.endpoint) as plain:
        asyncio.run(use(plain))


# --- jobs ---


def state(status, step=0, **more):
    progress = {"step": step, "steps": 4}
    return (200, [], {"id": "j-1", "object": "fine_tuning.job", "status": status, "model": "scratch", "progress": progress, **more})


def with_async_client(service, use):  # noqa: F811
    async def run():
        async with maas_sdk.AsyncMaaSClient(endpoint=service.endpoint, max_retries=0) as made:
            return await use(made)

    return asyncio.run(run())


def test_a_job_is_made_changed_and_listed(service):  # noqa: F811
    async def use(made):
        service.failures = [state("queued"), state("paused"), state("queued"), state("cancelled"), state("running", 2)]
        job = await made.jobs.create(training_file="file-1", epochs=3, metadata={"a": "b"})
        assert service.requests[-1][3] == {"training_file": "file-1", "model": "scratch", "metadata": {"a": "b"}, "epochs": 3}
        assert repr(job) == "AsyncJob(id='j-1', status='queued', model=None)" and not job.done
        assert (await job.pause()) is job and job.status == "paused"
        assert (await job.resume()).status == "queued" and (await job.cancel()).done
        assert [request[:2] for request in service.requests[-3:]] == [("POST", f"/v1/jobs/j-1/{verb}") for verb in
                                                                      ("pause", "resume", "cancel")]  # fmt: skip
        assert (await job.refresh()).step == 2 and job.steps == 4
        second = {"data": [state("queued")[2]], "has_more": False}
        service.failures = [(200, [], {**second, "has_more": True}), (200, [], second)]
        assert [one.id async for one in made.jobs.list(metadata={"a": "b"})] == ["j-1", "j-1"]
        assert "after=j-1" in service.requests[-1][1] and "metadata%5Ba%5D=b" in service.requests[-1][1]
        service.failures = [(200, [], {"data": [{"id": "2"}, {"id": "1"}], "has_more": False})]
        assert await job.events() == [{"id": "1"}, {"id": "2"}]
        service.failures = [(200, [], {"object": "file"})]
        with pytest.raises(maas_sdk.MaaSError, match="does not describe a job"):
            await made.jobs.retrieve("j-1")
        with pytest.raises(ValueError, match="id of a job"):
            await made.jobs.retrieve("")

    with_async_client(service, use)


def test_a_job_is_waited_for(service, capsys):  # noqa: F811
    async def use(made):
        service.failures = [state("queued"), state("running", 1), state("running", 1), state("succeeded", 4, fine_tuned_model="m")]
        job = await (await made.jobs.retrieve("j-1")).wait(interval=0.01)
        assert job.model == "m" and job.done
        assert "j-1: running, step 1/4" in capsys.readouterr().err
        service.failures = [state("running", 1), state("failed", error={"code": "x", "message": "no rows"})]
        with pytest.raises(maas_sdk.JobFailedError, match="j-1: no rows") as caught:
            await job.wait(interval=0.01, progress=False)
        assert caught.value.code == "x" and capsys.readouterr().err == ""
        service.failures = [state("running", 1)] * 3
        with pytest.raises(TimeoutError, match="still running after 0 s"):
            await job.wait(interval=0.01, timeout=0)

    with_async_client(service, use)


def test_a_wait_is_cancelled_without_blocking_others(service, capsys):  # noqa: F811
    async def use(made):
        service.failures = [state("running", 1)] * 2
        job = await made.jobs.retrieve("j-1")
        waiting = asyncio.ensure_future(job.wait(interval=60))
        while len(service.requests) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert await (await made.get_model("mood")).predict("ab") == "positive"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert time.monotonic() - began < 30
        assert capsys.readouterr().err.endswith("step 1/4\n")  # the line of the progress is ended

    with_async_client(service, use)
