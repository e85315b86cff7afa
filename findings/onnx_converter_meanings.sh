#!/usr/bin/env bash
# What: version_converter.convert_version() of the onnx package rewrites Softmax between opsets 12 and 13, where its meaning
# changed: it flattened its input before and works along one axis since. The converter knows this for Softmax upwards. Down
# it keeps the node and the axis, so that another function is computed. Hardmax is kept upwards too, although its meaning
# changed in the same way, and so is Resize from 10 to 11, where the places of the samples changed.
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it when an attention's softmax is converted for a device with an old runtime: the converter reports success,
# the model is valid, and the weights of a row no longer sum to 1.
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
from onnx import TensorProto, helper, version_converter


def run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


x = numpy.arange(16, dtype=numpy.float32).reshape(1, 2, 2, 4)
scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])
equal = {}
for operator, before, after, options in [("Softmax", 11, 13, {"axis": 1}), ("Softmax", 13, 11, {"axis": 1}),
                                         ("Hardmax", 11, 13, {"axis": 1}), ("Resize", 10, 11, {"mode": "linear"})]:
    inputs = ["x", "scales"] if operator == "Resize" else ["x"]
    graph = helper.make_graph([helper.make_node(operator, inputs, ["y"], **options)], "graph",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [scales] if operator == "Resize" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", before)], ir_version=7)
    converted = version_converter.convert_version(model, after)
    first, second = run(model, x), run(converted, x)
    equal[operator, before, after] = bool(numpy.allclose(first, second))
    print(operator, before, "to", after, [node.op_type for node in converted.graph.node],
          "same result:", equal[operator, before, after])
same = equal == {("Softmax", 11, 13): True, ("Softmax", 13, 11): False, ("Hardmax", 11, 13): False,
                 ("Resize", 10, 11): False}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
