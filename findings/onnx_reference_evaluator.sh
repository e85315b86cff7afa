#!/usr/bin/env bash
# What: The ReferenceEvaluator of the onnx package, which is there to settle what an operator means, computes three of them
# differently from their own definitions. LRN sums squares for as many channels as the batch has pictures, and leaves the
# other channels as they are. Unique with sorted=0 sorts unless a second output is asked for. Softmax of opset 11 and older is
# computed by the rule of opset 13, over one axis in place of all that follow. onnxruntime agrees with the definitions in all
# three.
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it by taking it for the truth in a test of an exporter or a runtime: a right result fails, and a wrong one
# passes.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnx|onnxruntime|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator


def both(operator, x, opset, outputs=1, **attributes):
    names = ["y", "place"][:outputs]
    types = [TensorProto.FLOAT, TensorProto.INT64]
    made = [helper.make_tensor_value_info(name, kind, [None] * x.ndim) for name, kind in zip(names, types, strict=False)]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    graph = helper.make_graph([helper.make_node(operator, ["x"], names, **attributes)], "g", [given], made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return ReferenceEvaluator(model).run(["y"], {"x": x})[0], session.run(["y"], {"x": x})[0]


def show(name, results, defined):
    right = [np.allclose(result, defined, atol=1e-5) for result in results]
    print(name, "as defined:", np.ravel(defined).round(3).tolist())
    for tool, result, fits in zip(("reference", "onnxruntime"), results, right, strict=True):
        print(f"  {tool:11} {np.ravel(result).round(3).tolist()} {'right' if fits else 'wrong'}")
    return right


seen = []
ones = np.ones((1, 4, 1, 1), np.float32)
sums = np.array([2, 3, 3, 2], np.float32).reshape(1, 4, 1, 1)
seen.append(show("LRN", both("LRN", ones, 17, size=3, alpha=3.0, beta=1.0), ones / (1 + sums)))
repeated = np.array([3, 1, 3, 2], np.float32)
seen.append(show("Unique", both("Unique", repeated, 17, sorted=0), np.array([3, 1, 2])))
seen.append(show("Unique, two outputs", both("Unique", repeated, 17, outputs=2, sorted=0), np.array([3, 1, 2])))
x = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
seen.append(show("Softmax of opset 11", both("Softmax", x, 11), np.exp(x) / np.exp(x).sum()))
same = seen == [[False, True], [False, True], [True, True], [False, True]]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
