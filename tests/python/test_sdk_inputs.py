"""What the Python SDK takes and gives: lists, arrays, iterators and tables of pandas, polars and pyarrow."""

import asyncio
import collections
import pickle
import threading
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from test_sdk import LABELS, client, maas_sdk, model, service, with_async_model  # noqa: F401  the fixtures

TEXTS = ["ab", "情", "", "abc"]
LABELLED = [LABELS[len(text) % 3] for text in TEXTS]


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        iter(TEXTS),
        (text for text in TEXTS),
        collections.deque(TEXTS),
        dict(enumerate(TEXTS)).values(),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS, index=[7, 7, 1, 0]),
        pd.Series(TEXTS, dtype="string[pyarrow]"),
        pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
        pd.Series(TEXTS, dtype=object),
        pd.Series(TEXTS, dtype="category"),
        pd.Index(TEXTS),
        pl.Series(TEXTS),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    ],
    ids=lambda given: type(given).__module__.partition(".")[0] + "_" + type(given).__name__,
)
def test_texts_in_any_order_keeping_form(model, given):  # noqa: F811
    assert model.predict(given) == LABELLED


FRAMES = [pd.DataFrame({"text": TEXTS}), pl.DataFrame({"text": TEXTS}), pl.LazyFrame({"text": TEXTS}), pa.table({"text": TEXTS})]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_table_is_no_list_of_its_column_names(service, model, frame):  # noqa: F811
    for call in (model.predict, model.stream):
        with pytest.raises(TypeError, match=r"df\['text'\].*predict_frame\(df, text='text'\)"):
            call(frame)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "given, remedy",
    [
        ({"a": "ab"}, r"list\(texts.values\(\)\)"),
        ({"ab"}, r"sorted\(texts\)"),
        (np.array([["ab"]]), "2 dimensions"),
        (np.array("ab"), "0 dimensions"),
        (None, "list of str"),
        (3, "list of str"),
        (["ab", None], r"texts\[1\].*drop it, such as \[text for"),
        (pd.Series(["ab", None]), r"texts\[1\].*predict_frame"),
        (pd.Series(["ab", None], dtype="string"), r"texts\[1\] is NAType.*predict_frame"),
        (["ab", b"ab"], r"texts\[1\] is bytes; decode"),
        (["ab", 3], r"texts\[1\] is int; give str"),
    ],
)
def test_what_is_refused_is_told_the_remedy(service, model, given, remedy):  # noqa: F811
    with pytest.raises(TypeError, match=remedy):
        model.predict(given)
    assert len(service.requests) == 1


@pytest.mark.parametrize("dtype", ["str", "string[python]", "string[pyarrow]", object, "category", pd.ArrowDtype(pa.string())])
def test_columns_are_added_to_a_table_of_pandas(service, model, dtype):  # noqa: F811
    frame = pd.DataFrame({"text": pd.Series(["ab", None, "a"], dtype=dtype), "label": [1, 2, 3]})
    frame.index = [5, 5, 9]
    before = frame.copy()
    result = model.predict_frame(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(result[["text", "label"]], before)
    assert list(result.columns[2:]) == ["predicted_label", "predicted_score", *(f"predicted_score_{name}" for name in LABELS)]
    assert result["predicted_label"].isna().tolist() == [False, True, False]
    assert result["predicted_label"].dropna().tolist() == ["positive", "neutral"]
    assert result["predicted_score"].dtype == "float64" and result["predicted_score"].isna().tolist() == [False, True, False]
    assert result["predicted_score_positive"].dropna().tolist() == [0.5, 0.25]
    if "category" != dtype:
        assert result["predicted_label"].dtype == before["text"].dtype or dtype is object
    assert result.groupby("predicted_label").size().to_dict() == {"neutral": 1, "positive": 1}
    assert service.requests[-1][3] == {"texts": ["ab", "a"]}  # the missing one was not sent


def test_columns_are_added_to_a_table_of_polars(service, model):  # noqa: F811
    frame = pl.DataFrame({"id": [1, 2, 3], "text": ["ab", None, "a"]})
    result = model.predict_frame(frame, text="text", scores=False, prefix="")
    assert result.columns == ["id", "text", "label", "score"] and frame.columns == ["id", "text"]
    assert result["label"].to_list() == ["positive", None, "neutral"] and result["label"].dtype == pl.String
    assert result["score"].to_list() == [0.5, None, 0.5]
    empty = model.predict_frame(frame.filter(pl.col("id") > 3))
    assert empty.height == 0 and empty["predicted_label"].dtype == pl.String


@pytest.mark.parametrize("library", [pd, pl])
def test_a_table_without_a_text_gets_empty_columns(service, model, library):  # noqa: F811
    frame = library.DataFrame({"text": [None, None]})
    result = model.predict_frame(frame)
    assert len(result) == 2 and list(result["predicted_label"].to_list() or []) in ([None, None], [np.nan, np.nan])
    assert len(service.requests) == 1


@pytest.mark.parametrize("library", [pd, pl])
def test_tables_that_cannot_be_read_are_refused(service, model, library):  # noqa: F811
    frame = library.DataFrame({"review": ["ab"], "stars": [5], "predicted_label": ["x"]})
    with pytest.raises(ValueError, match="no column 'text'; its columns are 'review', 'stars', 'predicted_label'"):
        model.predict_frame(frame)
    with pytest.raises(TypeError, match="'stars' has a value of the type int in row 0"):
        model.predict_frame(frame, text="stars")
    with pytest.raises(ValueError, match="column 'predicted_label' already; give another prefix="):
        model.predict_frame(frame, text="review")
    with pytest.raises(TypeError, match="no DataFrame"):
        model.predict_frame(["ab"])
    with pytest.raises(TypeError, match="collect"):
        model.predict_frame(pl.LazyFrame({"text": ["ab"]}))
    twice = pd.DataFrame([["a", "b"]], columns=["text", "text"])
    with pytest.raises(ValueError, match="more than one column"):
        model.predict_frame(twice)
    assert {path for _, path, *_ in service.requests[1:]} <= {"/v1/models/mood/predict"}


def test_results_go_into_columns_of_pyarrow(model):  # noqa: F811
    emotions = model.predict(TEXTS)
    for dtype in ("str", "string[pyarrow]", "category", object):
        assert pd.Series(emotions, dtype=dtype).astype(object).tolist() == LABELLED
    assert pa.array(emotions).to_pylist() == LABELLED
    assert pl.Series(emotions).to_list() == LABELLED
    assert [emotion.score for emotion in emotions] == [0.5] * 4  # the objects keep what a column of strings drops


# --- streams ---


@pytest.fixture
def small(service):  # noqa: F811
    """A client of small batches."""
    with maas_sdk.MaaSClient(endpoint=service.endpoint, batch_size=2, concurrency=2, max_retries=0) as made:
        yield made.get_model("mood")


def test_a_stream_is_in_order_and_reads_no_more_than_it_needs(service, small):  # noqa: F811
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield "x" * (taken % 5)

    stream = small.stream(endless())
    assert taken == 0
    got = [next(stream) for _ in range(21)]
    assert got == [LABELS[number % 5 % 3] for number in range(1, 22)]
    assert taken <= 22 + 2 * (2 * 2)
    stream.close()


def test_a_bad_text_comes_after_what_stood_before_it(small):
    stream = small.stream(["a", "ab", "abc", 7, "a"])
    got = [next(stream) for _ in range(3)]
    assert got == ["neutral", "positive", "negative"]
    with pytest.raises(TypeError, match=r"stream: texts\[3\] is int"):
        next(stream)
    with pytest.raises(TypeError, match="one str"):
        small.stream("abc")


def test_a_stream_shows_its_progress(small, capsys):
    assert len(list(small.stream(TEXTS * 3, progress=True))) == 12
    said = capsys.readouterr().err
    assert "12/12 texts" in said and said.endswith("\n") and "#" * 30 in said
    small.predict((text for text in TEXTS), progress=True)
    assert "4/4 texts" in capsys.readouterr().err
    list(small.stream(iter(TEXTS), progress=True))
    assert "4 texts, " in capsys.readouterr().err
    list(small.stream(TEXTS))
    assert capsys.readouterr().err == ""


def test_async_streams(service):  # noqa: F811
    async def source():
        for text in TEXTS * 5:
            await asyncio.sleep(0)
            yield text

    async def use(model):  # noqa: F811
        assert [emotion async for emotion in model.stream(source())] == LABELLED * 5
        assert [emotion async for emotion in model.stream(iter(TEXTS))] == LABELLED
        got = []
        with pytest.raises(TypeError, match=r"texts\[3\]"):
            async for emotion in model.stream(["a", "ab", "abc", None]):
                got.append(emotion)
        assert got == ["neutral", "positive", "negative"]
        with pytest.raises(TypeError, match="predict_frame"):
            await model.predict(pd.DataFrame({"text": TEXTS}))
        frame = await model.predict_frame(pl.DataFrame({"text": TEXTS}))
        assert frame["predicted_label"].to_list() == LABELLED

    with_async_model(service, use, batch_size=3, concurrency=2)


def test_a_client_that_is_closed_meanwhile_says_so(service, small):  # noqa: F811
    released = threading.Event()

    class Held(list):  # the script of failures: consulted once a request
        def __bool__(self):
            return not released.wait(10)

    def close_when_two_wait():
        while sum(path.endswith("/predict") for _, path, *_ in list(service.requests)) < 2:
            time.sleep(0.01)
        small._client.close()
        released.set()

    service.failures = Held()
    closer = threading.Thread(target=close_when_two_wait)
    closer.start()
    got = []
    with pytest.raises(RuntimeError, match="closed while it predicted"):
        for emotion in small.stream(TEXTS * 10):
            got.append(emotion)
    closer.join()
    assert got == LABELLED[: len(got)]  # at most the two batches that were on their way


# --- what arrived before a failure ---


def check_partial(partial, texts, answered):
    assert isinstance(partial, maas_sdk.PartialResult) and isinstance(partial, maas_sdk.MaaSConnectionError)
    assert isinstance(partial.error, maas_sdk.MaaSConnectionError) and partial.__cause__ is partial.error
    assert len(partial.results) == len(texts) and len(partial.missing) == len(texts) - answered
    for place, (text, emotion) in enumerate(zip(texts, partial.results)):
        assert (emotion is None) == (place in partial.missing) and emotion in (None, LABELS[len(text) % 3])
    assert f"{answered} of {len(texts)} texts" in str(partial)


def test_answers_survive_the_death_of_the_service(service, small):  # noqa: F811
    texts = ["x" * (i % 7) for i in range(21)]
    service.lives_for = 4
    with pytest.raises(maas_sdk.PartialResult) as caught:
        small.predict(texts)
    check_partial(caught.value, texts, 8)
    check_partial_copy = pickle.loads(pickle.dumps(caught.value))
    assert check_partial_copy.results == caught.value.results and isinstance(check_partial_copy, maas_sdk.MaaSConnectionError)
    service.lives_for = None
    assert small.predict([texts[place] for place in caught.value.missing]) == [LABELS[len(texts[i]) % 3] for i in caught.value.missing]
    service.lives_for = 0
    with pytest.raises(maas_sdk.MaaSConnectionError) as caught:
        small.predict(texts)
    assert not isinstance(caught.value, maas_sdk.PartialResult)  # nothing arrived
    service.lives_for = 1
    with pytest.raises(maas_sdk.PartialResult) as caught:
        small.predict_frame(pd.DataFrame({"text": [None, "a", "ab", None, "abc", "a"]}))
    # One of the two batches, which are sent at the same time.
    answered = [None, "neutral", "positive", None, None, None], [None, None, None, None, LABELS[0], "neutral"]
    assert caught.value.results in answered


def test_answers_survive_in_async_clients_too(service):  # noqa: F811
    texts = ["x" * (i % 7) for i in range(21)]

    async def use(model):  # noqa: F811
        service.lives_for = 4
        with pytest.raises(maas_sdk.PartialResult) as caught:
            await model.predict(texts)
        check_partial(caught.value, texts, 8)

    with_async_model(service, use, batch_size=2, concurrency=2, max_retries=0)


def test_a_failure_stops_the_batches_that_were_not_sent(service, small):  # noqa: F811
    service.lives_for = 2
    with pytest.raises(maas_sdk.PartialResult):
        small.predict(["a"] * 400)
    assert sum(path.endswith("/predict") for _, path, *_ in service.requests) < 10


# --- versions ---


def test_a_version_is_pinned_and_reported(service, client):  # noqa: F811
    pinned = client.get_model("mood", version=1)
    assert (pinned.version, pinned.pinned) == ("1", True) and "pinned" in repr(pinned)
    assert [emotion.version for emotion in pinned.predict(["a", "ab"])] == ["1", "1"]
    assert service.requests[-1][1] == "/v1/models/mood/versions/1/predict"
    served = client.get_model("mood")
    assert (served.version, served.pinned, served.predict("a").version) == ("2", False, "2")
    assert pickle.loads(pickle.dumps(served.predict("a"))).version == "2"
    with pytest.raises(maas_sdk.ModelNotFoundError):
        client.get_model("mood", version="9")
    for wrong in ("", True, 1.5):
        with pytest.raises(ValueError, match="version"):
            client.get_model("mood", version=wrong)
