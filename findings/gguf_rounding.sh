#!/usr/bin/env bash
# What: with the same scale, numbers in the middle between two steps get different integers in GGUF's Q8_0 and in ONNX's
# QuantizeLinear. GGUF rounds halves away from zero. ONNX rounds them to even, like NumPy.
# Versions: gguf 0.19.0, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it when comparing a model's GGUF file with its int8 ONNX file byte for byte: the scales agree and one weight
# in some hundreds differs by a step, although neither library has an error.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check gguf==0.19.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import gguf, numpy, onnxruntime
from onnx import TensorProto, helper

halves = [0.5, 1.5, 2.5, 3.5, -0.5, -2.5]
row = numpy.zeros((1, 32), numpy.float32)
row[0, :6], row[0, 6] = halves, 127  # the greatest is 127, so that the scale of the block is 1
blocks = gguf.quants.quantize(row, gguf.GGMLQuantizationType.Q8_0)
scale = blocks[0, :2].view(numpy.float16)[0]
in_gguf = blocks[0, 2:8].view(numpy.int8).tolist()
node = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])
zero = helper.make_tensor("zero", TensorProto.INT8, [], [0])
one = helper.make_tensor("scale", TensorProto.FLOAT, [], [1.0])
graph = helper.make_graph([node], "quantize", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6])],
                          [helper.make_tensor_value_info("y", TensorProto.INT8, [6])], [one, zero])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
in_onnx = session.run(None, {"x": numpy.array(halves, numpy.float32)})[0].tolist()
print("given", halves, "scale", float(scale))
print("Q8_0          ", in_gguf)
print("QuantizeLinear", in_onnx)
print("numpy.round   ", numpy.round(halves).astype(int).tolist())
same = scale == 1 and in_gguf == [1, 2, 3, 4, -1, -3] and in_onnx == [0, 2, 2, 4, 0, -2]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
