#!/usr/bin/env bash
# What: a LinearClassifier of ai.onnx.ml with two labels may have one row of coefficients. onnxruntime then gives the scores
# 1 - x and x for the row's result x, also where x is no probability, and leaves out the post-transform SOFTMAX. The
# reference of ONNX gives -x and x, and their softmax. Both agree for LOGISTIC, and for the labels.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6.
# A user meets it when a threshold is set on the score of the first label: the logit 3 has the other label's score -2 in one
# program and -3 in the other, and "probabilities" of a softmax lie outside of [0, 1].
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

x = numpy.array([[3, 0], [-2, 0]], numpy.float32)
seen = {}
for transform in ["NONE", "SOFTMAX", "LOGISTIC"]:
    node = helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", coefficients=[1.0, 0.0],
                            intercepts=[0.0], classlabels_ints=[0, 1], post_transform=transform, multi_class=0)
    graph = helper.make_graph([node], "classifier", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])],
                              [helper.make_tensor_value_info("label", TensorProto.INT64, [2]),
                               helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2, 2])])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    reference, runtime = ReferenceEvaluator(model).run(None, {"x": x}), session.run(None, {"x": x})
    assert reference[0].tolist() == runtime[0].tolist() == [1, 0]
    seen[transform] = [reference[1], runtime[1]]
    print(transform, "reference", reference[1].tolist(), "onnxruntime", runtime[1].tolist())
raw, opposite = [[-2, 3], [3, -2]], numpy.array([[-3, 3], [2, -2]])
softmax = numpy.exp(opposite) / numpy.exp(opposite).sum(axis=1, keepdims=True)
same = (numpy.allclose(seen["NONE"][0], opposite) and numpy.allclose(seen["NONE"][1], raw)
        and numpy.allclose(seen["SOFTMAX"][0], softmax) and numpy.allclose(seen["SOFTMAX"][1], raw)
        and numpy.allclose(*seen["LOGISTIC"]))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
