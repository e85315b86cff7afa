#!/usr/bin/env bash
# What: OpenVINO's arithmetic on 8-bit integers stops at the ends of the type: 200 + 100 is 255 in uint8, and 100 + 100 is
# 127 in int8. onnxruntime and the reference of ONNX go on from the other end, as C and NumPy do: 44 and -56. In int32
# OpenVINO does so too.
# Versions: openvino 2026.4.0 on an x86-64 CPU, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it with check sums, hashes or differences of bytes in a graph: onnxruntime finds the row of a table, and
# OpenVINO another one.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import numpy, onnxruntime, openvino
from onnx import helper
from onnx.reference import ReferenceEvaluator


def results(model, feed):
    """What the reference of ONNX, onnxruntime and OpenVINO compute."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU",
                                  {"INFERENCE_PRECISION_HINT": "f32"})
    return [ReferenceEvaluator(model).run(None, feed)[0], session.run(None, feed)[0], compiled(feed)[0]]


seen = {}
for operator, kind, a, b in [("Add", "uint8", 200, 100), ("Sub", "uint8", 3, 4), ("Mul", "uint8", 200, 2),
                             ("Add", "int8", 100, 100), ("Add", "int32", 2147483647, 1)]:
    feed = {"a": numpy.array([a], kind), "b": numpy.array([b], kind)}
    number = helper.np_dtype_to_tensor_dtype(numpy.dtype(kind))
    graph = helper.make_graph([helper.make_node(operator, ["a", "b"], ["y"])], "bytes",
                              [helper.make_tensor_value_info(name, number, [1]) for name in "ab"],
                              [helper.make_tensor_value_info("y", number, [1])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    seen[operator, kind] = [int(result[0]) for result in results(model, feed)]
    print(kind, operator, a, b, "reference, onnxruntime, OpenVINO:", *seen[operator, kind])
same = seen == {("Add", "uint8"): [44, 44, 255], ("Sub", "uint8"): [255, 255, 0], ("Mul", "uint8"): [144, 144, 255],
                ("Add", "int8"): [-56, -56, 127], ("Add", "int32"): [-2147483648] * 3}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
