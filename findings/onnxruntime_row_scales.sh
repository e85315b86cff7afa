#!/usr/bin/env bash
# What: onnxruntime's extended optimisation, which is on by default, joins MatMulInteger, Cast, a multiplication by the
# product of two scales and the addition of a bias into one operator. Where the left operand's scale is one for each row,
# that operator adds the bias first and multiplies it by the row's scale too: s * (sum + bias) instead of s * sum + bias.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# A user meets it with 8-bit weights and activations rounded row by row: every node is what the standard says, all biases
# of the model all but vanish, and the accuracy suffers a little, which looks like the price of 8 bits. Multiplying by the
# columns' scales first and by the rows' after that is not joined.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import numpy, onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = numpy.random.default_rng(5)
a = rng.integers(-127, 128, (3, 8)).astype(numpy.int8)
b = rng.integers(-127, 128, (8, 4)).astype(numpy.int8)
rows = numpy.array([[0.5], [1.0], [2.0]], numpy.float32)
columns = numpy.array([0.25, 0.5, 1.0, 2.0], numpy.float32)
bias = numpy.array([100, 200, -300, 50], numpy.float32)
sums = a.astype(numpy.int64) @ b.astype(numpy.int64) * columns

start = [("MatMulInteger", ["a", "b"], "sums"), ("Cast", ["sums"], "real")]
orders = {
    "sums * (rows * columns)": start + [("Mul", ["rows", "columns"], "scales"), ("Mul", ["real", "scales"], "scaled")],
    "(sums * columns) * rows": start + [("Mul", ["real", "columns"], "half"), ("Mul", ["half", "rows"], "scaled")],
}
seen = {}
for name, steps in orders.items():
    steps = steps + [("Add", ["scaled", "bias"], "y")]
    nodes = [helper.make_node(op, ins, [out], **({"to": TensorProto.FLOAT} if op == "Cast" else {})) for op, ins, out in steps]
    inputs = [helper.make_tensor_value_info("a", TensorProto.INT8, ["n", 8]), helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 1])]
    constants = [numpy_helper.from_array(b, "b"), numpy_helper.from_array(columns, "columns"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    levels = onnxruntime.GraphOptimizationLevel
    for level in (levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_EXTENDED):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        y = session.run(None, {"a": a, "rows": rows})[0]
        formulas = {"rows * sums + bias": rows * sums + bias, "rows * (sums + bias)": rows * (sums + bias)}
        seen[name, level.name] = [f for f, wanted in formulas.items() if numpy.allclose(y, wanted, rtol=1e-5, atol=1e-3)]
        print(f"{name}, {level.name}: {seen[name, level.name]}")
right, wrong = ["rows * sums + bias"], ["rows * (sums + bias)"]
first, second = orders
same = seen == {
    (first, "ORT_ENABLE_BASIC"): right, (first, "ORT_ENABLE_EXTENDED"): wrong,
    (second, "ORT_ENABLE_BASIC"): right, (second, "ORT_ENABLE_EXTENDED"): right,
}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
