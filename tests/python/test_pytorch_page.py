"""docs/pytorch.md equals the output of tests/parity/page.py. parity_runner compiles its snippets."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/parity"))

import headers  # noqa: E402
import page  # noqa: E402


def test_the_page_is_up_to_date():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run python3 tests/parity/page.py"


def test_the_page_is_long():
    assert page.count() >= 200


def test_every_row_is_there_once_and_as_a_user_would_write_it():
    rows = [line for line in page.text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(set(rows)) == page.count()
    # What a row of the table does to meet a bound, or to give an input no gradient, is not how one writes the call.
    for trick in ("round(detach(", "scale(sum("):
        assert not [row for row in rows if trick in row]


def test_every_row_names_a_header_that_the_one_header_includes():
    reached, waiting = set(), ["cmake/include/qing/qing.h"]
    while waiting:
        text = (ROOT / waiting.pop()).read_text(encoding="utf-8")
        new = set(re.findall(r"^#include <qing/(.*)>$", text, re.MULTILINE)) - reached
        reached |= new
        waiting += new
    rows = re.findall(r"^\| `.*\| `([^`|]+)` \|$", page.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == page.count()
    assert set(rows) <= reached, set(rows) - reached


def test_the_header_is_the_one_that_declares_the_call():
    assert headers.of("cross_entropy(linear(x, w), y)") == "autograd/ops/losses.h"
    assert headers.of("module = nn::LSTM(m, n, rng)\nmodule.forward(x)") == "nn/layers/rnn.h"
    assert headers.of("x.reshape({m * 2, n})") == "tensor/tensor.h"
    assert headers.of("(x + b) * b") == "autograd/ops/arithmetic.h"
    assert headers.of("model(x)") == "nn/module.h"
    assert headers.of("struct Net : nn::Module {\n  nn::Linear fc;\n}") == "nn/module.h"
    assert headers.of("model.load_state_dict(nn::load_safetensors(path).tensors)") == "nn/formats/safetensors.h"
    assert headers.of("argmax(x, 1)") == "tensor/ops/search.h"
    assert headers.of("optim::Sgd sgd(model.parameters())") == "optim/optimizer.h"


CLASS = re.compile(r"^(?:template <.*> )?class (\w+)[^;{]*\{(.*?)^\};", re.MULTILINE | re.DOTALL)


def test_every_module_is_called_like_a_function():
    """Each class of layers and models with a public forward() has an operator() for each of its forms."""
    checked = 0
    for path in [*(ROOT / "nn/layers").glob("*.h"), *(ROOT / "nn/models").glob("*.h"), ROOT / "nn/module.h"]:
        for name, body in CLASS.findall(path.read_text(encoding="utf-8")):
            public = re.split(r"^ (?:private|protected):", body, flags=re.MULTILINE)[0]
            forms = len(re.findall(r"\w+ forward\(", re.sub(r"//[^\n]*", "", public)))
            if forms:
                # Calls within the class are no declarations.
                declared = len(re.findall(r"^  \w+ forward\(", public, re.MULTILINE))
                assert len(re.findall(r"^  \w+ operator\(\)\(", public, re.MULTILINE)) == declared, f"{path}: {name}"
                checked += declared > 0
    assert checked >= 18
