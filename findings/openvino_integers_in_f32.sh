#!/usr/bin/env bash
# What: OpenVINO on a CPU computes some operations on integers in f32, even with INFERENCE_PRECISION_HINT=f32, which is
# about floating-point numbers. Beyond 2^24 Equal calls neighbours equal, and ReduceMax returns a number that is not in its
# input. Add, Mul and BitwiseXor of the same numbers are exact.
# Versions: openvino 2026.4.0, onnxruntime 1.32.0 (which is exact throughout), onnx 1.23.2, numpy 2.4.6.
# A user meets it with ids, hashes or places of a table in a graph: a look-up finds another row, and nothing says so.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.0 onnxruntime==1.32.0 onnx==1.23.2 \
  numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import numpy, onnx, onnxruntime, openvino
from onnx import TensorProto, helper

a = numpy.array([7, 2**24 + 1, 2**30 - 1], numpy.int64)
b = a - 1


def answers(node, name, kind):
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["n"]) for n in ("a", "b")][: len(node.input)]
    graph = helper.make_graph([node], name, inputs, [helper.make_tensor_value_info("y", kind, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), "model.onnx")
    feed = {key.name: value for key, value in zip(inputs, (a, b))}
    model = openvino.Core().compile_model("model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ours = model(feed)["y"].tolist()
    theirs = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"]).run(None, feed)[0].tolist()
    print(f"{name}: openvino {ours}, onnxruntime {theirs}")
    return ours, theirs


node = helper.make_node
equal = answers(node("Equal", ["a", "b"], ["y"]), "a == a - 1", TensorProto.BOOL)
largest = answers(node("ReduceMax", ["a"], ["y"], keepdims=0), "largest of a", TensorProto.INT64)
exact = [answers(node(op, ["a", "b"], ["y"]), op, TensorProto.INT64) for op in ("Add", "BitwiseXor")]
same = (
    equal == ([False, True, True], [False] * 3)
    and largest == (2**30, 2**30 - 1)
    and all(ours == theirs for ours, theirs in exact)
)
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
