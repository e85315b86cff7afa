"""The Python SDK with proxies, time zones, configurations and forked processes."""

import asyncio
import os
import signal
import time

import pytest
from test_sdk import client, failure, maas_sdk, model, service, waits  # noqa: F401  the fixtures

MaaSClient = maas_sdk.MaaSClient


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
def test_dates_of_retry_after_are_in_utc_whatever_the_zone(service, model, waits, monkeypatch, zone, form):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        date = time.strftime(form, time.gmtime(time.time() + 20))
        service.failures = [failure(503, headers=[("Retry-After", date)])]
        assert model.predict("ab") == "positive"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert 15 < waits[0] <= 20


@pytest.mark.parametrize("value", ["\u00b2", "-1", "soon", "1.5", "Wed, 21 Oct 99999999999999 07:28:00 GMT", ""])
def test_an_invalid_retry_after_is_ignored(service, model, waits, value):
    service.failures = [failure(503, headers=[("Retry-After", value)])]
    assert model.predict("ab") == "positive"
    assert len(waits) == 1 and waits[0] < 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://user:hunter2@127.0.0.1:1",
        "http://hunter2@127.0.0.1:1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:0",
        "http://[::1",
        "http://exam ple:1",
        "http://127.0.0.1:1/a\nb",
        "http://例え:1",
        "http://user:hunt/hunter2@127.0.0.1:1",
        "http://user:80#hunter2@127.0.0.1:1",
        "http://127.0.0.1:1/?key=hunter2",
        "http://user:80/hunter2@127.0.0.1:1",
        "http://user:hunter2",
        "http://127.0.0.1:1/#hunter2",
        "ftp://127.0.0.1:1/hunter2",
    ],
)
def test_an_endpoint_that_cannot_work_is_refused_at_once_and_shows_no_password(endpoint):
    with pytest.raises(ValueError, match="endpoint") as caught:
        MaaSClient(endpoint=endpoint)
    assert "hunter2" not in str(caught.value)


def test_white_space_around_an_endpoint_is_ignored(service, monkeypatch):
    monkeypatch.setenv("MAAS_ENDPOINT", f"  {service.endpoint}/\n")  # like a variable that was read from a file
    assert MaaSClient().endpoint == service.endpoint
    assert MaaSClient().get_model("mood").name == "mood"


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), 1e20, -1.0])
def test_a_timeout_that_no_socket_takes_is_refused(timeout):
    with pytest.raises(ValueError, match="timeout"):
        MaaSClient(timeout=timeout)


@pytest.mark.parametrize("texts", [{"ab": 1}, {"ab", "a"}, frozenset(["ab"]), {"ab": 1}.keys()])
def test_texts_without_an_order_are_refused(service, model, texts):
    with pytest.raises(TypeError, match="order"):
        model.predict(texts)
    assert len(service.requests) == 1


def test_an_async_client_works_in_a_forked_process(service):
    """Some servers load the program before they fork their workers."""
    client = maas_sdk.AsyncMaaSClient(endpoint=service.endpoint, concurrency=1, timeout=5)

    async def use():
        return await (await client.get_model("mood")).predict("ab")

    assert asyncio.run(use()) == "positive"
    time.sleep(0.05)  # the thread is idle
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(10)
            code = 0 if asyncio.run(use()) == "positive" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asyncio.run(use()) == "positive"
    asyncio.run(client.close())
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(use())


def test_a_failed_request_is_retried_and_a_late_one_is_not(service, model):
    """A late answer may still be computed, so a retry would double the work."""
    service.failures = ["drop"]
    assert model.predict("ab") == "positive"
    assert len([r for r in service.requests if r[0] == "POST"]) == 2
    del service.requests[:]
    service.failures = ["hang"]
    model._client.timeout = 0.1
    with pytest.raises(maas_sdk.MaaSTimeoutError):
        model.predict("ab")
    assert len(service.requests) == 1


def test_proxies_are_not_used_for_this_machine(service, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert MaaSClient(endpoint=service.endpoint).get_model("mood").name == "mood"
