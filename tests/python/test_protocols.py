"""The protocols of other projects, tested with their own clients from PyPI."""

import asyncio
import json
import shutil
import time

import numpy as np
import pytest
from conftest import ask, served

LABELS = ["negative", "neutral", "positive"]
TEXTS = ["I love this film", "我讨厌这个手机", "a chair stands in the hall"]
EXPECTED = ["positive", "negative", "neutral"]


@pytest.fixture(scope="module")
def endpoint(models_root, qing):
    with served(qing, models_root, TEXTS) as address:
        yield address


# --- tritonclient ---


@pytest.fixture
def triton(endpoint):
    client = pytest.importorskip("tritonclient.http")
    with client.InferenceServerClient(endpoint.removeprefix("http://")) as connection:
        yield client, connection


def triton_input(client, texts, shape=None, binary=True):
    tensor = client.InferInput("text", shape or [len(texts)], "BYTES")
    data = np.array([text.encode() for text in texts], dtype=np.object_)
    tensor.set_data_from_numpy(data.reshape(shape or [-1]), binary_data=binary)
    return tensor


def test_triton_health_and_metadata(triton):
    _, connection = triton
    assert connection.is_server_live() and connection.is_server_ready()
    assert connection.is_model_ready("emotion_analysis") and connection.is_model_ready("emotion_analysis", "1")
    assert not connection.is_model_ready("other") and not connection.is_model_ready("emotion_analysis", "7")
    assert "binary_tensor_data" in connection.get_server_metadata()["extensions"]
    metadata = connection.get_model_metadata("emotion_analysis", "1")
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in metadata["outputs"]] == ["label", "score", "scores", "logits"]
    index = connection.get_model_repository_index()
    assert index == [{"name": "emotion_analysis", "version": "1", "state": "READY", "reason": ""}]


def test_triton_is_told_which_calls_there_are_no_routes_for(triton):
    """docs/api.md names them."""
    _, connection = triton
    utils = pytest.importorskip("tritonclient.utils")
    for call in ("get_inference_statistics", "get_trace_settings", "get_log_settings", "get_system_shared_memory_status",
                 "get_cuda_shared_memory_status"):  # fmt: skip
        with pytest.raises(utils.InferenceServerException, match=r"\[404\]"):
            getattr(connection, call)()
    for call in ("get_model_config", "get_inference_statistics"):
        with pytest.raises(utils.InferenceServerException, match=r"\[404\]"):
            getattr(connection, call)("emotion_analysis")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("column", [True, False])
def test_triton_infers(triton, binary, column):
    client, connection = triton
    tensor = triton_input(client, TEXTS, [len(TEXTS), 1] if column else None, binary)
    result = connection.infer("emotion_analysis", [tensor], request_id="mine", model_version="1")
    assert [label.decode() for label in result.as_numpy("label")] == EXPECTED
    scores = result.as_numpy("scores")
    assert scores.shape == (3, 3) and scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(result.as_numpy("score"), scores.max(axis=1))
    assert result.get_response()["id"] == "mine"


@pytest.mark.parametrize("binary", [True, False])
def test_triton_gets_the_outputs_it_asks_for(triton, binary):
    client, connection = triton
    outputs = [client.InferRequestedOutput(name, binary_data=binary) for name in ("scores", "label")]
    result = connection.infer("emotion_analysis", [triton_input(client, TEXTS)], outputs=outputs)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["scores", "label"]
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label")]
    assert labels == EXPECTED
    assert result.as_numpy("score") is None


def test_triton_gets_explanations(triton):
    client, connection = triton
    result = connection.infer("emotion_analysis", [triton_input(client, TEXTS)], parameters={"explain": True})
    explanations = [json.loads(text) for text in result.as_numpy("explanation")]
    for explanation, label, text in zip(explanations, EXPECTED, TEXTS):
        check_explanation(explanation, label, text)


def test_triton_sees_errors(triton):
    client, connection = triton
    utils = pytest.importorskip("tritonclient.utils")
    with pytest.raises(utils.InferenceServerException, match="no model named 'other'"):
        connection.infer("other", [triton_input(client, TEXTS)])
    with pytest.raises(utils.InferenceServerException, match=r"outputs\[0\].name"):
        connection.infer("emotion_analysis", [triton_input(client, TEXTS)], outputs=[client.InferRequestedOutput("x")])
    ranked = client.InferRequestedOutput("scores", class_count=3)
    with pytest.raises(utils.InferenceServerException, match="classification: this server does not have"):
        connection.infer("emotion_analysis", [triton_input(client, TEXTS)], outputs=[ranked])


@pytest.mark.parametrize(
    "parameter", [{"priority": 1}, {"timeout": 1000}, {"sequence_id": 7, "sequence_start": True}, {"parameters": {"mine": 1}}]
)
def test_triton_members_without_effect_are_refused(triton, parameter):
    client, connection = triton
    utils = pytest.importorskip("tritonclient.utils")
    name = next(iter(parameter.get("parameters", parameter)))
    with pytest.raises(utils.InferenceServerException, match=rf"parameters\.{name}: this route does not take it"):
        connection.infer("emotion_analysis", [triton_input(client, TEXTS)], **parameter)


def test_triton_index_lists_what_is_not_served(models_root, serve, tmp_path):
    client = pytest.importorskip("tritonclient.http")
    root = tmp_path / "models"
    shutil.copytree(models_root, root)
    (root / "emotion_analysis/2").mkdir()
    server = serve("--models", root)
    with client.InferenceServerClient(server.endpoint.removeprefix("http://")) as connection:
        ready = {"name": "emotion_analysis", "version": "1", "state": "READY", "reason": ""}
        first, second = connection.get_model_repository_index()
        assert first == ready
        assert (second["version"], second["state"]) == ("2", "UNAVAILABLE") and "config.json" in second["reason"]
        assert connection.get_model_metadata("emotion_analysis")["versions"] == ["1"]
        connection.unload_model("emotion_analysis")
        assert not connection.is_model_ready("emotion_analysis")
        (gone,) = connection.get_model_repository_index()
        assert gone["state"] == "UNAVAILABLE" and gone["reason"] == "unloaded"
        shutil.rmtree(root / "emotion_analysis/2")
        connection.load_model("emotion_analysis")
        assert connection.get_model_repository_index() == [ready]


# --- kserve ---


def test_kserve_client(endpoint):
    kserve = pytest.importorskip("kserve")
    from kserve.protocol import infer_type

    async def talk(protocol):
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol, timeout=30))
        assert await client.is_server_live(endpoint) is True
        assert await client.is_model_ready(endpoint, "emotion_analysis") is True
        if protocol == "v1":
            predictions = await client.infer(endpoint, {"instances": TEXTS}, model_name="emotion_analysis")
            explained = await client.explain(endpoint, "emotion_analysis", {"instances": TEXTS})
            return [item["label"] for item in predictions["predictions"]], explained
        assert await client.is_server_ready(endpoint) is True
        tensor = kserve.InferInput("text", [len(TEXTS)], "BYTES", data=TEXTS)
        request = kserve.InferRequest("emotion_analysis", [tensor], request_id="mine")
        result = await client.infer(endpoint, request, model_name="emotion_analysis")
        binary = kserve.InferInput("text", [len(TEXTS)], "BYTES")
        binary.set_data_from_numpy(np.array(TEXTS, dtype=np.object_), binary_data=True)
        request = kserve.InferRequest("emotion_analysis", [binary], request_outputs=[
            infer_type.RequestedOutput("label", {"binary_data": True})])  # fmt: skip
        packed = await client.infer(endpoint, request, model_name="emotion_analysis")
        await client.close()
        return list(result.outputs[0].data), [text.decode() if isinstance(text, bytes) else text
                                              for text in packed.outputs[0].as_numpy()]  # fmt: skip

    labels, explained = asyncio.run(talk("v1"))
    assert labels == EXPECTED
    for explanation, label, text in zip(explained["explanations"], EXPECTED, TEXTS):
        check_explanation(explanation, label, text)
    assert asyncio.run(talk("v2")) == (EXPECTED, EXPECTED)


def test_kserve_v1_refuses_by_field(endpoint):
    predict = endpoint + "/v1/models/emotion_analysis:predict"
    status, headers, answer = ask(predict, {"instances": ["I love this film", {"text": "I love this film"}]})
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert [item["label"] for item in answer["predictions"]] == ["positive", "positive"]
    for body, field in [({}, "instances:"), ({"instances": "a"}, "instances:"), ({"instances": ["a", 1]}, "instances[1]:"),
                        ({"instances": [{"text": 1}]}, "instances[0].text:"), ({"instances": [{}]}, "instances[0].text:"),
                        ({"instances": ["a"], "signature_name": "x"}, "signature_name: this route does not take it"),
                        ({"instances": [{"text": "a", "lang": "en"}]}, "instances[0].lang:"),
                        ({"instances": [{"text": None}]}, "instances[0].text:"), ([], "body:")]:  # fmt: skip
        status, _, answer = ask(predict, body)
        assert status == 422 and answer["error"].startswith(field), answer


# --- corner cases of the V2 protocol ---


def v2_body(texts=("a",), **changes):
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts), **changes}
    return {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "inputs:"),
        ({"inputs": []}, 422, "inputs:"),
        (v2_body(name=3), 422, "inputs[0].name:"),
        (v2_body(datatype="FP32"), 422, "inputs[0].datatype:"),
        (v2_body(shape=[2]), 422, "inputs[0].shape:"),
        (v2_body(shape=[1, 2]), 422, "inputs[0].shape:"),
        (v2_body(shape=[-1]), 422, "inputs[0].shape:"),
        (v2_body(shape=[2**40]), 422, "inputs[0]:"),
        (v2_body(data=None), 422, "inputs[0].data:"),
        (v2_body(data=[1]), 422, "inputs[0].data[0]:"),
        (v2_body(data=[["a", "b"]]), 422, "inputs[0].shape:"),
        ({**v2_body(), "id": 1}, 422, "id:"),
        ({**v2_body(), "top_k": 1}, 422, "top_k: this route does not take it"),
        ({**v2_body(), "parameters": {"topk": 1}}, 422, "parameters.topk:"),
        ({**v2_body(), "parameters": {"content_type": "np"}}, 422, "parameters.content_type:"),
        (v2_body(parameters={"lang": "en"}), 422, "inputs[0].parameters.lang:"),
        (v2_body(parameters={"shared_memory_region": "r"}), 422, "inputs[0].parameters.shared_memory_region:"),
        (v2_body(lang="en"), 422, "inputs[0].lang:"),
        (v2_body(parameters={"binary_data_size": 0}), 422, "inputs[0].data:"),
        ({**v2_body(), "outputs": [{"name": "label", "datatype": "BYTES"}]}, 422, "outputs[0].datatype:"),
        ({**v2_body(), "outputs": [{"name": "label", "parameters": {"top": 1}}]}, 422, "outputs[0].parameters.top:"),
        ({**v2_body(), "parameters": 1}, 422, "parameters:"),
        ({**v2_body(), "parameters": {"explain": 1}}, 422, "parameters.explain:"),
        ({**v2_body(), "outputs": [{"name": "explanation"}]}, 422, "outputs[0].name:"),
        ({**v2_body(), "outputs": [{"name": "label"}, {"name": "label"}]}, 422, "outputs[1].name:"),
        (v2_body(data=None, parameters={"binary_data_size": 5}), 400, "inputs[0].parameters.binary_data_size:"),
    ],
)
def test_v2_refuses_by_field(endpoint, body, status, field):
    got, _, answer = ask(endpoint + "/v2/models/emotion_analysis/infer", body)
    assert got == status and answer["error"].startswith(field), answer


@pytest.mark.parametrize(
    "nulls",
    [
        {"id": None},
        {"outputs": None},
        {"parameters": None},
        {"parameters": {"explain": None, "binary_data_output": None, "content_type": None, "priority": None}},
        {"outputs": [{"name": n, "parameters": None} for n in ("label", "score", "scores", "logits")]},
        {"outputs": [{"name": n, "parameters": {"binary_data": None, "classification": None}}
                     for n in ("label", "score", "scores", "logits")]},
        {"inputs": [{**v2_body()["inputs"][0], "parameters": None}]},
        {"inputs": [{**v2_body()["inputs"][0], "parameters": {"binary_data_size": None}}]},
        {"model_name": None, "more": None},
        {"model_name": "emotion_analysis"},
        {"parameters": {"content_type": "str"}},
        {"inputs": [{**v2_body()["inputs"][0], "parameters": {"content_type": "str"}}]},
    ],
)  # fmt: skip
def test_v2_takes_nulls_for_absent_members(endpoint, nulls):
    infer = endpoint + "/v2/models/emotion_analysis/infer"
    plain = ask(infer, v2_body())
    status, _, answer = ask(infer, {**v2_body(), **nulls})
    assert (status, answer) == (200, plain[2])


def test_v2_binary_parts_are_checked(endpoint):
    def send(part, declared=None, header_length=None, shape=1):
        size = len(part) if declared is None else declared
        head = json.dumps(v2_body(data=None, shape=[shape], parameters={"binary_data_size": size})).encode()
        length = len(head) if header_length is None else header_length
        return ask(endpoint + "/v2/models/emotion_analysis/infer", head + part,
                   {"Inference-Header-Content-Length": str(length)})  # fmt: skip

    def element(text):
        return len(text).to_bytes(4, "little") + text

    assert send(element(b"good"))[0] == 200
    assert send(b"", shape=0)[2]["outputs"][0]["data"] == []
    assert send(element(b"good"), shape=2)[0] == 422
    assert send(element(b"\xff"))[0] == 422
    for broken in (b"\x01", b"\x05\x00\x00\x00good", element(b"good") + b"\x00", b"\xff\xff\xff\xff"):
        status, _, answer = send(broken)
        assert status == 400 and answer["error"].startswith("inputs[0].data["), answer
    assert send(element(b"good"), declared=7)[0] == 400
    assert send(element(b"good"), header_length=9999)[0] == 400
    assert send(element(b"good"), header_length=-1)[0] == 400


# --- Hugging Face ---


def test_hugging_face_client(endpoint):
    hub = pytest.importorskip("huggingface_hub")
    for address in (endpoint, endpoint + "/models/emotion_analysis", endpoint + "/v1/models/emotion_analysis"):
        for client in (hub.InferenceClient(model=address), hub.InferenceClient(base_url=address)):
            for text, label in zip(TEXTS, EXPECTED):
                result = client.text_classification(text)
                assert [item.label for item in result][0] == label
                assert sorted(item.label for item in result) == LABELS
                assert abs(sum(item.score for item in result) - 1) < 1e-5
            assert len(client.text_classification(TEXTS[0], top_k=2)) == 2
            logits = client.text_classification(TEXTS[0], function_to_apply="none")
            assert logits[0].label == EXPECTED[0] and logits[0].score > 1
            sigmoids = client.text_classification(TEXTS[0], function_to_apply="sigmoid")
            np.testing.assert_allclose(sigmoids[0].score, 1 / (1 + np.exp(-logits[0].score)), rtol=1e-5)
    with pytest.raises(hub.errors.HfHubHTTPError):
        hub.InferenceClient(model=endpoint + "/models/other").text_classification("a")


def test_hugging_face_client_checks_the_health_of_a_model(endpoint):
    hub = pytest.importorskip("huggingface_hub")
    for address in (endpoint, endpoint + "/models/emotion_analysis", endpoint + "/v1/models/emotion_analysis/"):
        client = hub.InferenceClient(model=address, provider="hf-inference")  # others have no such calls
        assert client.health_check()
        assert client.get_endpoint_info()["model_id"] == "emotion_analysis"
    assert not hub.InferenceClient(model=endpoint + "/models/other", provider="hf-inference").health_check()


def test_hugging_face_parameters_of_other_tasks_are_refused(endpoint):
    hub = pytest.importorskip("huggingface_hub")
    client = hub.InferenceClient(model=endpoint + "/models/emotion_analysis")
    questions = [
        ("candidate_labels", lambda: client.zero_shot_classification(TEXTS[0], ["sport", "politics"])),
        ("aggregation_strategy", lambda: client.token_classification(TEXTS[0], aggregation_strategy="none")),
        ("normalize", lambda: client.feature_extraction(TEXTS[0], normalize=True)),
        ("max_new_tokens", lambda: client.text_generation(TEXTS[0], max_new_tokens=3)),
        ("inputs", lambda: client.question_answering("who?", TEXTS[0])),
    ]
    for field, question in questions:
        with pytest.raises(hub.errors.HfHubHTTPError) as refused:
            question()
        assert refused.value.response.status_code == 422
        assert field in refused.value.response.json()["error"]


@pytest.mark.parametrize("parameters", [None, {"top_k": None}, {"function_to_apply": None}, {"topk": None}, {}])
def test_hugging_face_takes_nulls_for_absent_members(endpoint, parameters):
    assert ask(endpoint, {"inputs": TEXTS[0], "parameters": parameters, "options": None})[2] == ask(
        endpoint, {"inputs": TEXTS[0]}
    )[2]


def test_hugging_face_answers_are_nested(endpoint):
    one = ask(endpoint, {"inputs": TEXTS[0]})[2]
    assert len(one) == 1 and one[0][0]["label"] == "positive"
    many = ask(endpoint, {"inputs": TEXTS})[2]
    assert [item[0]["label"] for item in many] == EXPECTED
    for body, field in [({}, "inputs:"), ({"inputs": None}, "inputs:"), ({"inputs": 1}, "inputs:"),
                        ({"inputs": ["a", 1]}, "inputs[1]:"),
                        ({"inputs": "a", "topk": 2}, "topk: this route does not take it"),
                        ({"inputs": "a", "parameters": {"topk": 2}}, "parameters.topk:"),
                        ({"inputs": "a", "parameters": {"candidate_labels": ["x"]}}, "parameters.candidate_labels:"),
                        ({"inputs": "a", "parameters": []}, "parameters:"),
                        ({"inputs": "a", "parameters": {"top_k": 0}}, "parameters.top_k:"),
                        ({"inputs": "a", "parameters": {"function_to_apply": "x"}}, "parameters.function_to_apply:")]:  # fmt: skip
        status, _, answer = ask(endpoint, body)
        assert status == 422 and answer["error"].startswith(field), answer


# --- text-embeddings-inference ---


def test_tei_predict(endpoint):
    predict = endpoint + "/predict"
    one = ask(predict, {"inputs": TEXTS[0]})[2]
    assert one[0]["label"] == "positive" and [item["score"] for item in one] == sorted((i["score"] for i in one), reverse=True)
    assert ask(predict, {"inputs": [TEXTS[0]]})[2] == one
    batch = ask(predict, {"inputs": [[text] for text in TEXTS]})[2]
    assert [item[0]["label"] for item in batch] == EXPECTED and batch[0] == one
    raw = ask(predict, {"inputs": TEXTS[0], "raw_scores": True})[2]
    assert raw[0]["label"] == "positive" and raw[0]["score"] > 1


def test_tei_takes_two_strings_for_a_pair_and_refuses_it(endpoint):
    for inputs, field in [(["a", "b"], "inputs:"), ([["a", "b"]], "inputs[0]:"), ([["a"], ["a", "b"]], "inputs[1]:")]:
        status, _, answer = ask(endpoint + "/predict", {"inputs": inputs})
        assert status == 422 and answer["error_type"] == "validation"
        assert answer["error"].startswith(field) and "pair" in answer["error"], answer
    for inputs in ([], [[]], ["a", "b", "c"], [["a"], "b"], [1], 1, [[1]]):
        status, _, answer = ask(endpoint + "/predict", {"inputs": inputs})
        assert status == 422 and answer["error"].startswith("inputs"), answer
    status, _, answer = ask(endpoint + "/predict", {"inputs": "good " * 1000, "truncate": False})
    assert status == 413 and answer["error_type"] == "validation"
    assert ask(endpoint + "/predict", {"inputs": "good " * 1000})[0] == 200


def test_tei_refuses_members_without_effect(endpoint):
    predict = endpoint + "/predict"
    plain = ask(predict, {"inputs": TEXTS[0]})[2]
    for change in ({"truncate": None}, {"raw_scores": None}, {"truncation_direction": None}, {"model": None},
                   {"truncation_direction": "Right"}, {"truncation_direction": "right"}):  # fmt: skip
        assert ask(predict, {"inputs": TEXTS[0], **change})[2] == plain
    for change, field in [({"truncation_direction": "Left"}, "truncation_direction:"), ({"truncate": 1}, "truncate:"),
                          ({"prompt_name": "x"}, "prompt_name: this route does not take it"), ({"inputs": None}, "inputs:")]:  # fmt: skip
        status, _, answer = ask(predict, {"inputs": TEXTS[0], **change})
        assert status == 422 and answer["error"].startswith(field) and answer["error_type"] == "validation"


def test_tei_info_and_health(endpoint):
    info = ask(endpoint + "/info")[2]
    assert info["model_id"] == "emotion_analysis"
    assert info["model_type"]["classifier"]["id2label"] == {"0": "negative", "1": "neutral", "2": "positive"}
    assert info["max_input_length"] >= 64
    assert ask(endpoint + "/health")[0] == 200


# --- OpenAI ---


def test_openai_client(endpoint):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=endpoint + "/v1", api_key="none", max_retries=0)
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("emotion_analysis", "model", "qing")
    assert abs(model.created - time.time()) < 3600
    assert client.models.retrieve("emotion_analysis").id == "emotion_analysis"
    for question in (lambda: client.models.retrieve("other"),
                     lambda: client.embeddings.create(model="other", input=TEXTS[0]),
                     lambda: client.chat.completions.create(model="emotion_analysis", messages=[])):  # fmt: skip
        with pytest.raises(openai.NotFoundError) as refused:
            question()
        assert refused.value.type == "invalid_request_error" and refused.value.param is None
        assert refused.value.code in ("unknown_model", "unknown_route")
        assert set(refused.value.body) == {"message", "type", "param", "code"}


def test_models_are_listed_for_openai_beside_the_services_own_form(endpoint):
    models = ask(endpoint + "/v1/models")[2]
    assert models["object"] == "list" and [model["name"] for model in models["models"]] == ["emotion_analysis"]
    (model,) = models["data"]
    assert set(model) == {"id", "object", "created", "owned_by"} and model["id"] == "emotion_analysis"


# --- explanations in the native protocol ---


def check_explanation(explanation, label, text):
    assert explanation["label"] == label
    spans = explanation["spans"]
    for span in spans:
        assert text[span["begin"] : span["end"]] == span["text"]
    assert "".join(span["text"] for span in spans).replace(" ", "") == text.replace(" ", "")
    difference = explanation["score"] - explanation["baseline"]
    assert abs(sum(span["weight"] for span in spans) - difference) <= explanation["gap"] + 1e-9
    assert explanation["gap"] <= 1e-3


def test_native_explains(endpoint):
    predict = endpoint + "/v1/models/emotion_analysis/predict"
    plain = ask(predict, {"texts": TEXTS})[2]["predictions"]
    explained = ask(predict, {"texts": TEXTS, "explain": True})[2]["predictions"]
    for text, without, prediction in zip(TEXTS, plain, explained):
        check_explanation(prediction.pop("explanation"), prediction["label"], text)
        assert prediction == without
    # The words with the largest weights are the ones that a reader would choose.
    spans = ask(predict, {"text": TEXTS[0], "explain": True})[2]["predictions"][0]["explanation"]["spans"]
    assert max(spans, key=lambda span: span["weight"])["text"] == "love"
    assert ask(predict, {"texts": ["a"] * 65, "explain": True})[0] == 422
    assert ask(predict, {"text": "a", "explain": "yes"})[0] == 422


def test_requests_are_named_and_traced(endpoint):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    _, headers, _ = ask(endpoint + "/health", headers={"traceparent": trace, "X-Request-Id": "mine"})
    assert headers["traceparent"] == trace and headers["X-Request-Id"] == "mine"
