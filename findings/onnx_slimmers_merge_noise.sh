#!/usr/bin/env bash
# What: onnxslim and onnxsim merge nodes of random numbers that look alike, as they merge equal subexpressions. Two independent
# noises become one, and the difference of two RandomNormalLike is exactly 0. onnxslim also computes a RandomNormal once and
# stores the numbers, and removes a Dropout whose training_mode is true. One expects random nodes to stay, because two of them
# never give the same numbers, and onnxruntime does not merge them.
# Versions: onnxslim 0.1.98, onnxsim 0.8.1, onnx 1.23.2, onnxruntime 1.32.0.
# A user meets it with models that draw on purpose: the noise of a diffusion or variational model, Gumbel noise for sampling, or
# Monte Carlo dropout. The slim model is valid, runs, and draws less or nothing.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxslim==0.1.98 onnxsim==0.8.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnxslim|onnxsim|onnx|onnxruntime|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import onnx
import onnxruntime
import onnxsim
import onnxslim
from onnx import TensorProto, helper, numpy_helper


def model(nodes, constants=()):
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 8]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], list(constants))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def run(made):
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((2, 8), np.float32)})[0]


difference = model([helper.make_node("RandomNormalLike", ["x"], ["a"]), helper.make_node("RandomNormalLike", ["x"], ["b"]),
                    helper.make_node("Sub", ["a", "b"], ["y"])])  # fmt: skip
noise = model([helper.make_node("RandomNormal", [], ["a"], shape=[2, 8]), helper.make_node("Add", ["a", "x"], ["y"])])
constants = [numpy_helper.from_array(np.array(0.5, np.float32), "share"), numpy_helper.from_array(np.array(True), "train")]
dropout = model([helper.make_node("Dropout", ["x", "share", "train"], ["a"]), helper.make_node("Relu", ["a"], ["y"])], constants)
models = {"difference": difference, "noise": noise, "dropout": dropout}
tools = {"original": lambda made: made, "onnxslim": onnxslim.slim, "onnxsim": lambda made: onnxsim.simplify(made)[0]}
seen = {}
for name, made in models.items():
    for tool, apply in tools.items():
        slim = apply(onnx.ModelProto.FromString(made.SerializeToString()))
        seen[name, tool] = [node.op_type for node in slim.graph.node], run(slim)
        print(f"{name:11} {tool:9} {' '.join(seen[name, tool][0]):38} standard deviation {seen[name, tool][1].std():.2f}")
differs = seen["difference", "original"][1].std() > 0.1
zero = all((seen["difference", tool][1] == 0).all() for tool in ("onnxslim", "onnxsim"))
stored = seen["noise", "onnxslim"][0] == ["Add"] and seen["noise", "onnxsim"][0] == ["RandomNormal", "Add"]
awake = seen["dropout", "onnxslim"][0] == ["Relu"] and "Dropout" in seen["dropout", "onnxsim"][0]
same = differs and zero and stored and awake

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
