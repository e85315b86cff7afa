"""The place that an error of the Python SDK names is that in the caller's list, stream or table, whatever the batches are."""

import asyncio
import base64
import pickle

import pandas as pd
import polars as pl
import pytest
import test_sdk_tasks
from test_sdk import REFUSED, client, maas_sdk, model, service, with_async_model  # noqa: F401  the fixtures
from test_sdk_tasks import service as tasks  # noqa: F401  a fixture

TEXTS = ["a"] * 70 + [REFUSED]


def check(error, place=70):
    """The error of the service about one text of the second batch."""
    assert isinstance(error, maas_sdk.InvalidRequestError) and (error.status, error.index) == (422, place)
    assert f"texts[{place}]: cannot be read" in str(error)
    assert pickle.loads(pickle.dumps(error)).index == place


def test_predict_names_the_place_in_the_list(model):  # noqa: F811
    with pytest.raises(maas_sdk.PartialResult, match=r"^64 of 71 texts were answered .*: texts\[70\]: cannot") as caught:
        model.predict(TEXTS)
    check(caught.value)
    check(caught.value.error)
    with pytest.raises(maas_sdk.InvalidRequestError) as caught:
        model.predict(["a", REFUSED])
    check(caught.value, 1)


def test_streams_name_the_place_among_all_texts(service, model):  # noqa: F811
    got = []
    with pytest.raises(maas_sdk.InvalidRequestError) as caught:
        for emotion in model.stream(iter(TEXTS)):
            got.append(emotion)
    check(caught.value)
    assert len(got) == 64

    async def use(model):  # noqa: F811
        with pytest.raises(maas_sdk.PartialResult) as caught:
            await model.predict(TEXTS)
        check(caught.value)
        with pytest.raises(maas_sdk.InvalidRequestError) as caught:
            async for _ in model.stream(TEXTS):
                pass
        check(caught.value)

    with_async_model(service, use)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("before", [1, 70])
def test_tables_name_the_row(service, model, library, before):  # noqa: F811
    frame = library.DataFrame({"review": [None, *["a"] * before, None, REFUSED]})
    row = before + 2
    with pytest.raises(maas_sdk.InvalidRequestError, match=rf"'review' in row {row}: cannot be read") as caught:
        model.predict_frame(frame, text="review")
    assert caught.value.index == row and "texts[" not in str(caught.value)
    if before == 70:
        assert caught.value.missing == [0, *range(65, 73)] and caught.value.error.index == row

    async def use(model):  # noqa: F811
        with pytest.raises(maas_sdk.InvalidRequestError, match=rf"'review' in row {row}: cannot be read"):
            await model.predict_frame(frame, text="review")

    with_async_model(service, use)


@pytest.mark.parametrize(("name", "call"), [
    ("zh-en", lambda model: model.translate(["a"] * 70 + [test_sdk_tasks.REFUSED])),
    ("names", lambda model: model.tag(["a"] * 70 + [test_sdk_tasks.REFUSED])),
    ("clothes", lambda model: model.predict([b"picture"] * 70 + [base64.b64decode(test_sdk_tasks.REFUSED)])),
])  # fmt: skip
def test_other_tasks_name_the_place_in_the_list(tasks, name, call):  # noqa: F811
    endpoint, _ = tasks
    noun = "images" if name == "clothes" else "texts"

    def check_task(error):
        assert f"{noun}[70]: cannot be read" in str(error) and error.index == 70 and f"64 of 71 {noun} were" in str(error)

    with maas_sdk.MaaSClient(endpoint=endpoint) as given, pytest.raises(maas_sdk.PartialResult) as caught:
        call(given.get_model(name))
    check_task(caught.value)

    async def again():
        async with maas_sdk.AsyncMaaSClient(endpoint=endpoint) as given:
            await call(await given.get_model(name))

    with pytest.raises(maas_sdk.PartialResult) as caught:
        asyncio.run(again())
    check_task(caught.value)


def test_a_refusal_of_a_single_large_text_names_it(service, model):  # noqa: F811
    """A text that is larger than a request may be is a batch of its own, so its place is known."""
    model._limits["body_bytes"] = 1 << 12
    service.failures = [(413, [], {"error": "the body is too large", "code": "body_too_large"})]
    with pytest.raises(maas_sdk.InvalidRequestError, match=r"^texts\[0\]: the body is too large") as caught:
        model.predict("x" * 5000)
    assert caught.value.index == 0


# --- what is known of the limit before any text is sent ---


def test_texts_longer_than_the_model_takes_are_refused_before_any_is_sent(service, client):  # noqa: F811
    stable = client.get_model("stable")  # at most 1000 bytes
    before = len(service.requests)
    for texts in (["a"] * 5 + ["情" * 334], iter(["a"] * 5 + ["\n" * 1001])):
        told = r"predict: texts\[5\]: 100\d bytes exceed the limit of 1000"
        with pytest.raises(maas_sdk.InvalidRequestError, match=told) as caught:
            stable.predict(texts)
        assert caught.value.index == 5 and caught.value.status is None
    with pytest.raises(maas_sdk.InvalidRequestError, match=r"'text' in row 2: 1002 bytes"):
        stable.predict_frame(pd.DataFrame({"text": [None, "a", "情" * 334]}))
    assert len(service.requests) == before
    assert stable.predict(["a", "\n" * 1000]) == ["neutral", "neutral"]  # 1000 bytes, 2000 in JSON


def test_streams_refuse_a_long_text_after_what_stands_before_it(service, client):  # noqa: F811
    stream = client.get_model("stable").stream(["a", "ab", "b" * 1001, "a"])
    assert [next(stream), next(stream)] == ["neutral", "positive"]
    with pytest.raises(maas_sdk.InvalidRequestError, match=r"stream: texts\[2\]: 1001 bytes"):
        next(stream)

    async def use():
        async with maas_sdk.AsyncMaaSClient(endpoint=service.endpoint) as other:
            got = []
            with pytest.raises(maas_sdk.InvalidRequestError, match=r"stream: texts\[2\]: 1001 bytes"):
                async for emotion in (await other.get_model("stable")).stream(["a", "ab", "b" * 1001, "a"]):
                    got.append(emotion)
            assert got == ["neutral", "positive"]

    asyncio.run(use())
