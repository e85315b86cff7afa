"""vLLM's classification API: POST /v1/classify with {"model", "input"}."""

import json

import pytest
from conftest import ask, served

TEXTS = ["I love this film", "我讨厌这个手机", "a chair stands in the hall"]


@pytest.fixture(scope="module")
def endpoint(models_root, qing):
    with served(qing, models_root, TEXTS) as address:
        yield address


@pytest.mark.parametrize("path", ["/v1/classify", "/classify"])
def test_probabilities_stand_in_the_order_of_the_labels(endpoint, qing, model_dir, path):
    status, _, answer = ask(endpoint + path, {"model": "emotion_analysis", "input": TEXTS})
    assert status == 200 and answer["object"] == "list" and answer["model"] == "emotion_analysis"
    assert answer["id"].startswith("classify-") and answer["created"] > 1_700_000_000
    labels = json.loads((model_dir / "config.json").read_text())["id2label"]
    expected = [json.loads(line) for line in qing("predict", "--model", model_dir, "--json", *TEXTS).stdout.splitlines()]
    assert [item["index"] for item in answer["data"]] == [0, 1, 2]
    for item, other in zip(answer["data"], expected):
        assert item["label"] == other["label"] and item["num_classes"] == 3
        assert item["probs"] == pytest.approx([other["scores"][labels[str(i)]] for i in range(3)], abs=1e-7)
        assert item["label"] == labels[str(item["probs"].index(max(item["probs"])))]
    tokens = sum(other["tokens"] for other in expected)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] == tokens


def test_one_text_and_the_only_model_need_no_list_and_no_name(endpoint):
    status, _, answer = ask(endpoint + "/v1/classify", {"input": TEXTS[0]})
    assert status == 200 and len(answer["data"]) == 1 and answer["model"] == "emotion_analysis"
    assert ask(endpoint + "/v1/classify", {"model": None, "input": []})[2]["data"] == []


@pytest.mark.parametrize(
    "body, status, field",
    [
        ({"model": "other", "input": "x"}, 404, "no model named 'other'"),
        ({"model": 7, "input": "x"}, 422, "model: "),
        ({"model": "emotion_analysis"}, 422, "input: is missing"),
        ({"input": [[1, 2, 3]]}, 422, "input[0]: must be a string"),
        ({"input": "x", "truncate_prompt_tokens": 5}, 422, "truncate_prompt_tokens: "),
    ],
)
def test_errors_have_the_form_of_openai(endpoint, body, status, field):
    for path in ("/v1/classify", "/classify"):
        found, _, answer = ask(endpoint + path, body)
        assert found == status and answer["error"]["message"].startswith(field), answer
        assert answer["error"]["type"] == "invalid_request_error" and "param" in answer["error"]


def test_a_body_of_another_type_is_refused_in_the_same_form(endpoint):
    status, _, answer = ask(endpoint + "/classify", {"input": "x"}, {"Content-Type": "text/plain"})
    assert status == 415 and answer["error"]["code"] == "unsupported_media_type"
