"""Bodies that are not JSON, or JSON that no client should send, to every route that predicts. They are refused with a
message, never with a 500 or a crash."""

import http.client
import json

import pytest
from conftest import served

NAME = "emotion_analysis"

# A route and its body. Only TEXTS, a list of strings, changes.
ROUTES = {
    "native": (f"/v1/models/{NAME}/predict", b'{"texts": TEXTS}'),
    "KServe V1": (f"/v1/models/{NAME}:predict", b'{"instances": TEXTS}'),
    "KServe V1, explained": (f"/v1/models/{NAME}:explain", b'{"instances": TEXTS}'),
    "Open Inference V2": (f"/v2/models/{NAME}/infer",
                          b'{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": TEXTS}]}'),
    "Hugging Face": (f"/models/{NAME}", b'{"inputs": TEXTS}'),
    "text-embeddings-inference": ("/predict", b'{"inputs": TEXTS}'),
}  # fmt: skip

# Whole bodies that are not JSON (RFC 8259) or not UTF-8.
NO_JSON = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "a word": b"hello",
    "Not a Number": b"NaN",
    "infinity": b"[-Infinity]",
    "half an object": b'{"texts": ["a"',
    "half a string": b'{"texts": ["a',
    "half an escape": b'{"texts": ["\\u12',
    "unknown escape": b'{"texts": ["\\q"]}',
    "a comma at the end": b'{"texts": ["a",]}',
    "a comma at the end of an object": b'{"texts": ["a"],}',
    "single quotes": b"{'texts': ['a']}",
    "a comment": b'{"texts": ["a"]} // why not',
    "two values": b'{"texts": ["a"]} {"texts": ["b"]}',
    "something behind": b'{"texts": ["a"]}\0',
    "a byte order mark": b'\xef\xbb\xbf{"texts": ["a"]}',
    "UTF-16": '{"texts": ["a"]}'.encode("utf-16"),
    "a number with a zero in front": b'{"texts": [01]}',
    "a number with a plus": b'{"texts": [+1]}',
    "a number with a lone dot": b'{"texts": [1.]}',
    "a line feed in a string": b'{"texts": ["a\nb"]}',
    "a NUL in a string": b'{"texts": ["a\0b"]}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b"[" * 1000 + b"]" * 1000,
    "random bytes": bytes(range(128, 256)),
}

# JSON strings that are not UTF-8 (RFC 3629) or not valid characters.
BAD_STRINGS = {
    "a lone continuation": b'"\x80"',
    "a cut character": b'"\xe4\xb8"',
    "an overlong slash": b'"\xc0\xaf"',
    "an overlong NUL": b'"\xe0\x80\x80"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "beyond the last character": b'"\xf4\x90\x80\x80"',
    "five bytes": b'"\xf8\x88\x80\x80\x80"',
    "0xff": b'"\xff"',
    "a high surrogate alone": b'"\\ud800"',
    "a low surrogate alone": b'"\\udc00"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "a high surrogate and a letter": b'"\\ud800a"',
}

# Strings that are unusual but valid text.
ODD_STRINGS = {
    "empty": b'""',
    "white space": b'" \\t\\n\\r "',
    "an escaped NUL": b'"a\\u0000b"',
    "an escaped pair": b'"\\ud83d\\ude00"',
    "the last character": '"\U0010ffff"'.encode(),
    "right to left": '"\u202eabc\u202c"'.encode(),
    "combining": ('"e' + "\u0301" * 1000 + '"').encode(),
    "a long word": b'"' + b"a" * 50_000 + b'"',
    "many spaces": b'"' + b" " * 50_000 + b'"',
    "special tokens": b'"[CLS] [SEP] [PAD] [MASK] [UNK]"',
    "nothing but 0x7f": b'"\x7f\x7f"',
}

# Other values in place of the texts.
WRONG_TEXTS = {
    "null": b"null",
    "a number": b"1",
    "a great number": b"1" + b"0" * 400,
    "a great exponent": b"[1e999]",
    "minus zero": b"[-0]",
    "true": b"[true]",
    "an object": b'{"a": "b"}',
    "a null among texts": b'["a", null]',
    "an empty list in a list": b"[[[]]]",
    "too many": b"[" + b",".join([b'"a"'] * 2000) + b"]",
}


@pytest.fixture(scope="module")
def ask(qing, models_root):
    with served(qing, models_root, ['"level":"error"']) as endpoint:
        host = endpoint.partition("://")[2]

        def post(path, body):
            connection = http.client.HTTPConnection(host, timeout=30)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.status, response.read()
            connection.close()
            return answer

        yield post


def check_refusal(status, body, allowed):
    assert status in allowed, (status, body[:300])
    answer = json.loads(body)
    assert answer["error"] and answer.get("code", answer.get("error_type")), answer


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", NO_JSON)
def test_invalid_json(ask, route, name):
    check_refusal(*ask(ROUTES[route][0], NO_JSON[name]), {400})


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", BAD_STRINGS)
def test_bad_strings(ask, route, name):
    path, body = ROUTES[route]
    check_refusal(*ask(path, body.replace(b"TEXTS", b"[" + BAD_STRINGS[name] + b"]")), {400})


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ODD_STRINGS)
def test_odd_strings(ask, route, name):
    path, body = ROUTES[route]
    status, answer = ask(path, body.replace(b"TEXTS", b"[" + ODD_STRINGS[name] + b"]"))
    assert status == 200, (status, answer[:300])
    json.loads(answer)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", WRONG_TEXTS)
def test_wrong_texts(ask, route, name):
    path, body = ROUTES[route]
    check_refusal(*ask(path, body.replace(b"TEXTS", WRONG_TEXTS[name])), {400, 413, 422})


@pytest.mark.parametrize("route", ROUTES)
def test_a_duplicate_key(ask, route):
    """Clients could not know which of the two counts."""
    path, body = ROUTES[route]
    once = body.replace(b"TEXTS", b'["a"]')
    check_refusal(*ask(path, once[:-1] + b", " + once[1:]), {400})


@pytest.mark.parametrize("route", ROUTES)
def test_shapes_that_do_not_fit(ask, route):
    path, body = ROUTES[route]
    for other in (b"[]", b"{}", b"1", b'"a"', b"null", body.replace(b"TEXTS", b"[]") + b" ", b'{"\\u0000": 1}'):
        status, answer = ask(path, other)
        assert status in {200, 400, 422}, (other, status, answer[:300])
        json.loads(answer)
