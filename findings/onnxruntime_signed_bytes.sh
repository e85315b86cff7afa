#!/usr/bin/env bash
# What: on x86 onnxruntime multiplies signed bytes by signed bytes (MatMulInteger, int8 by int8) more slowly than it
# multiplies floats, by a factor of eight where this was seen. With the left operand as uint8 and a zero point of 128 the
# sums are equal and come thirty times sooner.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; an Intel Xeon with AVX-512 VNNI.
# A user meets it with activations that are rounded symmetrically, as PyTorch and papers do: the model in 8 bits is smaller,
# its answers are right, and it is slower than the one in floats.
# It exits with 0 while int8 by int8 takes over twice the time of floats and over five times that of uint8 by int8.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ "$(uname -m)" = x86_64 ] || { echo "needs an x86-64 machine"; exit 2; }
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/pip" freeze
grep -m1 'model name' /proc/cpuinfo
cd "$folder"
bin/python - <<'PY'
import time

import numpy, onnxruntime
from onnx import TensorProto, helper, numpy_helper

m, k, n = 256, 384, 1536
rng = numpy.random.default_rng(3)
weights = rng.integers(-63, 64, (k, n)).astype(numpy.int8)
rows = rng.integers(-127, 128, (m, k))


def timed(op, x, kind, constants, result):
    names = [f"c{i}" for i in range(len(constants))]
    inputs = [helper.make_tensor_value_info("x", kind, ["m", k])]
    outputs = [helper.make_tensor_value_info("y", result, ["m", n])]
    tensors = [numpy_helper.from_array(numpy.asarray(c), name) for name, c in zip(names, constants)]
    graph = helper.make_graph([helper.make_node(op, ["x", *names], ["y"])], "g", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        y = session.run(None, {"x": x})[0]
        best = min(best, time.perf_counter() - start)
    return 1e3 * best, y


floats, _ = timed("MatMul", rows.astype(numpy.float32), TensorProto.FLOAT, [weights.astype(numpy.float32)], TensorProto.FLOAT)
signed, a = timed("MatMulInteger", rows.astype(numpy.int8), TensorProto.INT8, [weights], TensorProto.INT32)
shifted = (rows + 128).astype(numpy.uint8)
unsigned, b = timed("MatMulInteger", shifted, TensorProto.UINT8, [weights, numpy.uint8(128)], TensorProto.INT32)
print(f"{m}x{k} by {k}x{n}, one thread: floats {floats:.2f} ms, int8 by int8 {signed:.2f} ms, uint8 by int8 {unsigned:.2f} ms")
print("equal sums" if (a == b).all() else "different sums")
same = (a == b).all() and signed > 2 * floats and signed > 5 * unsigned
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
