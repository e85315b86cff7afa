#!/usr/bin/env bash
# What: StringSplit of ONNX without a delimiter splits at white space by the standard. onnxruntime splits at spaces alone: a
# tab or a line feed stays inside of a word. With a delimiter an empty text has no parts in onnxruntime, and one empty part
# in the reference of ONNX, as in Python.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# A user meets it with a graph that counts or looks up words itself: the words around a tab or a line break are one unknown
# word, and only for texts that have one.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import numpy, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def counts(texts, **options):
    """The number of parts of each text in the reference and in onnxruntime."""
    node = helper.make_node("StringSplit", ["texts"], ["parts", "counts"], **options)
    graph = helper.make_graph([node], "split", [helper.make_tensor_value_info("texts", TensorProto.STRING, [len(texts)])],
                              [helper.make_tensor_value_info("parts", TensorProto.STRING, None),
                               helper.make_tensor_value_info("counts", TensorProto.INT64, [len(texts)])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {"texts": numpy.array(texts, object)}
    found = [ReferenceEvaluator(model).run(None, feed)[1].tolist(), session.run(None, feed)[1].tolist()]
    print(texts, options, "reference", found[0], "onnxruntime", found[1])
    return found


white = counts(["good film", "good\tfilm", "good\nfilm", " good  film "])
delimited = counts(["good,film", ",", ""], delimiter=",")
same = white == [[2, 2, 2, 2], [2, 1, 1, 2]] and delimited == [[2, 2, 1], [2, 2, 0]]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
