"""The Python SDK with models of several labels, of ordered labels and of numbers: predictions as strings, and tables."""

import asyncio
import json
import pickle

import pandas as pd
import polars as pl
import pytest
from test_sdk import client, failure, maas_sdk, service  # noqa: F401  the fixtures

MULTI = [
    {"label": "praise", "score": 0.9, "scores": {"food": 0.8, "praise": 0.9}, "labels": ["food", "praise"]},
    {"label": "praise", "score": 0.3, "scores": {"food": 0.1, "praise": 0.3}, "labels": []},
]
NUMBERS = [
    {"label": "value", "score": 1234.5, "scores": {"value": 1234.5}, "value": 1234.5},
    {"label": "value", "score": -3, "scores": {"value": -3}, "value": -3},
]
ORDINAL = [
    {"label": "4", "score": 0.6, "scores": {"3": 0.4, "4": 0.6}, "value": 3.6},
    {"label": "3", "score": 0.7, "scores": {"3": 0.7, "4": 0.3}, "value": 3.3},
]
PROBLEMS = {"multi-label": MULTI, "regression": NUMBERS, "ordinal": ORDINAL}


def told(problem, predictions=None):
    """The description of a model of that problem, or its answer."""
    if predictions is not None:
        return (200, [], {"model": "m", "version": "1", "predictions": predictions})
    return (200, [], {"name": "m", "version": "1", "labels": list(PROBLEMS[problem][0]["scores"]), "problem": problem})


def predictions_of(service, client, problem):  # noqa: F811
    service.failures = [told(problem), told(problem, PROBLEMS[problem])]
    model = client.get_model("m")
    assert model.problem == problem
    found = model.predict(["a", "b"])

    async def again():
        async with maas_sdk.AsyncMaaSClient(endpoint=service.endpoint) as other:
            service.failures = [told(problem), told(problem, PROBLEMS[problem])]
            return await (await other.get_model("m")).predict(["a", "b"])

    for one, two, copy in zip(found, asyncio.run(again()), pickle.loads(pickle.dumps(found))):
        for name in ("label", "labels", "value", "score", "scores"):
            assert getattr(one, name) == getattr(two, name) == getattr(copy, name)
        assert str(one) == str(two) == str(copy)
    return found


def test_a_prediction_of_several_labels_is_those_labels(service, client):  # noqa: F811
    several, none = predictions_of(service, client, "multi-label")
    assert several == "food|praise" and several.labels == ("food", "praise") and several.label == "praise"
    assert none == "" and none.labels == () and none.label == "praise" and none.score == 0.3
    assert json.dumps([several, none]) == '["food|praise", ""]'
    # Feedback that a prediction is right says its labels, not their names in one.
    service.failures = [failure(404, "unknown_request")]
    with pytest.raises(maas_sdk.MaaSError):
        client.feedback.create(several, several)
    assert service.requests[-1][3]["label"] == ["food", "praise"]


def test_a_prediction_of_a_number_is_the_number(service, client):  # noqa: F811
    one, two = predictions_of(service, client, "regression")
    assert (str(one), float(one), one.value, one.label) == ("1234.5", 1234.5, 1234.5, "1234.5")
    assert (str(two), float(two), two.value) == ("-3", -3.0, -3.0)
    service.failures = [failure(404, "unknown_request")]
    with pytest.raises(maas_sdk.MaaSError):
        client.feedback.create(one, one)
    assert service.requests[-1][3]["label"] == 1234.5


def test_a_prediction_of_an_ordered_label_is_the_label(service, client):  # noqa: F811
    one, _ = predictions_of(service, client, "ordinal")
    assert (str(one), one.label, one.value, one.labels) == ("4", "4", 3.6, None)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize(("problem", "scores", "columns"), [
    ("multi-label", True, {"label": ["food|praise", None, ""], "score_food": [0.8, None, 0.1], "score_praise": [0.9, None, 0.3]}),
    ("multi-label", False, {"label": ["food|praise", None, ""]}),
    ("regression", True, {"value": [1234.5, None, -3.0]}),
    ("regression", False, {"value": [1234.5, None, -3.0]}),
    ("ordinal", True, {"label": ["4", None, "3"], "score": [0.6, None, 0.7], "value": [3.6, None, 3.3],
                       "score_3": [0.4, None, 0.7], "score_4": [0.6, None, 0.3]}),
])  # fmt: skip
def test_tables_have_the_columns_of_the_command(service, client, library, problem, scores, columns):  # noqa: F811
    """Those of `qing predict --file`, also for a table without a text."""
    service.failures = [told(problem), told(problem, PROBLEMS[problem])]
    model = client.get_model("m")
    frame = library.DataFrame({"text": ["a", None, "b"]})
    result = model.predict_frame(frame, scores=scores)
    assert list(result.columns) == ["text", *("predicted_" + name for name in columns)]
    for name, wanted in columns.items():
        column = result["predicted_" + name]
        values = column.to_list() if library is pl else [None if pd.isna(value) else value for value in column]
        assert values == wanted
    assert list(model.predict_frame(frame[:0], scores=scores).columns) == list(result.columns)
