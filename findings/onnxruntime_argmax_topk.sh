#!/usr/bin/env bash
# What: in onnxruntime ArgMax and TopK of one row return different elements if the row has a NaN. TopK takes the NaN as the
# greatest element, like NumPy. ArgMax ignores it unless it comes first.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# A user meets it with two exports of one classifier, one that ends in ArgMax and one that ends in TopK for the best labels.
# If the model overflows, they answer with different labels, and the first one looks like any other answer.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import math, numpy, onnxruntime
from onnx import TensorProto, helper

rows = {"NaN within": [1.0, math.nan, -3.0, 0.0], "NaN first": [math.nan, -1.0, 2.0, 0.0], "none": [1.0, 5.0, 2.0, 0.0]}
one = helper.make_tensor("k", TensorProto.INT64, [1], [1])
nodes = [helper.make_node("ArgMax", ["x"], ["place"], axis=0, keepdims=1),
         helper.make_node("TopK", ["x", "k"], ["value", "top"], axis=0)]
outputs = [helper.make_tensor_value_info("place", TensorProto.INT64, [1]),
           helper.make_tensor_value_info("top", TensorProto.INT64, [1])]
graph = helper.make_graph(nodes, "best", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], outputs, [one])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
seen = {}
for name, row in rows.items():
    x = numpy.array(row, numpy.float32)
    place, top = (int(output[0]) for output in session.run(None, {"x": x}))
    seen[name] = (place, top, int(x.argmax()))
    print(f"{name:10} {row}: ArgMax {place}, TopK {top}, numpy.argmax {seen[name][2]}")
same = seen == {"NaN within": (0, 1, 1), "NaN first": (0, 0, 0), "none": (1, 1, 1)}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
