#!/usr/bin/env bash
# What: quantize_dynamic() of onnxruntime leaves a product in floats, without a word, where the weights are not an initializer that the
# product names itself: weights in a Constant node, behind a Transpose or an Identity, and a Gemm with an alpha. The node computes the
# same, and the file is written as if all were well.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# A user meets it with an output layer that shares the table of embeddings, which is transposed in the graph and is often the greatest
# product of a model, and with graphs of tools that write constants as nodes: the file in "8 bits" is as large and as slow as before.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 sympy==1.14.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnxruntime|onnx|sympy|numpy)=='
cd "$folder"
bin/python - <<'PY'
import os

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

weights = numpy.random.default_rng(0).standard_normal((256, 256)).astype(numpy.float32)
turned = numpy.ascontiguousarray(weights.T)


def product(operation="MatMul", **attributes):
    return helper.make_node(operation, ["x", "w"], ["y"], **attributes)


graphs = {"initializer": ([product()], [numpy_helper.from_array(weights, "w")]),
          "Constant": ([helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weights, "w")), product()], []),
          "Transpose": ([helper.make_node("Transpose", ["t"], ["w"], perm=[1, 0]), product()], [numpy_helper.from_array(turned, "t")]),
          "Identity": ([helper.make_node("Identity", ["t"], ["w"]), product()], [numpy_helper.from_array(weights, "t")]),
          "Gemm": ([product("Gemm")], [numpy_helper.from_array(weights, "w")]),
          "Gemm with alpha": ([product("Gemm", alpha=0.5)], [numpy_helper.from_array(weights, "w")])}  # fmt: skip
same = True
for name, (nodes, initializers) in graphs.items():
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 256])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 256])], initializers)  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, "plain.onnx")
    quantize_dynamic("plain.onnx", "bytes.onnx", weight_type=QuantType.QInt8)
    share = os.path.getsize("bytes.onnx") / os.path.getsize("plain.onnx")
    print(f"{name}: {share:.2f} of the size, {[node.op_type for node in onnx.load('bytes.onnx').graph.node]}")
    same &= (share < 0.3) == (name in ("initializer", "Gemm")) and not 0.3 < share < 0.95
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
