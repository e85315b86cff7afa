#!/usr/bin/env bash
# What: The operators BertTokenizer and WordpieceTokenizer of onnxruntime-extensions keep the known beginning of a word whose
# rest is not in the vocabulary, and put [UNK] behind it: of "handxyz" with the piece "hand" they make two tokens. WordPiece
# makes one [UNK] of the whole word, as BERT was trained with and tokenizers does. One expects them to agree, as they do on
# all other words.
# Versions: onnxruntime-extensions 0.15.2, onnxruntime 1.32.0, onnx 1.23.2, tokenizers 0.23.3.
# A user meets it with a model whose tokenizer is exported into the ONNX file, in texts with a character that the vocabulary
# lacks, or with a small vocabulary: the ids, the length and the place of all that follows differ from training.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
  onnxruntime-extensions==0.15.2 onnxruntime==1.32.0 onnx==1.23.2 tokenizers==0.23.3 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnxruntime[-_]extensions|onnxruntime|onnx|tokenizers|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import json
import pathlib

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime_extensions import get_library_path
from tokenizers import BertWordPieceTokenizer

pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hand", "##s", "##made", "good"]
pathlib.Path("vocab.txt").write_text("\n".join(pieces))
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(get_library_path())


def run(operator, feed, kinds, **attributes):
    types = {"O": TensorProto.STRING, "i": TensorProto.INT64}
    given = [helper.make_tensor_value_info(name, types[x.dtype.kind], x.shape) for name, x in feed.items()]
    made = [helper.make_tensor_value_info(f"y{place}", kind, [None]) for place, kind in enumerate(kinds)]
    names = [value.name for value in made]
    node = helper.make_node(operator, list(feed), names, domain="ai.onnx.contrib", **attributes)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = helper.make_model(helper.make_graph([node], "g", given, made), opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0].tolist()


tokenizer = BertWordPieceTokenizer("vocab.txt")
vocabulary = {piece: place for place, piece in enumerate(pieces)}
same = True
for text, partial in (("good hands", False), ("handmade good", False), ("handxyz good", True), ("xyz good", False)):
    words = {"text": np.array([text], object)}
    rows = {"rows": np.array([0, 1], np.int64)}
    tokens = {"tokenizers": tokenizer.encode(text).tokens[1:-1]}
    ids = run("BertTokenizer", words, [TensorProto.INT64] * 3, vocab_file=pathlib.Path("vocab.txt").read_bytes())
    tokens["BertTokenizer"] = [pieces[place] for place in ids[1:-1]]
    tokens["WordpieceTokenizer"] = run("WordpieceTokenizer", words | rows, [TensorProto.STRING] + [TensorProto.INT64] * 3,
        vocab=json.dumps(vocabulary), unknown_token="[UNK]", suffix_indicator="##", max_input_chars_per_word=100)  # fmt: skip
    print(f"{text!r:15}", tokens)
    right = tokens["tokenizers"]
    split = ["hand", "[UNK]", "good"] if partial else right
    same = same and tokens["WordpieceTokenizer"] == tokens["BertTokenizer"] == split
    same = same and (not partial or right == ["[UNK]", "good"])

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
