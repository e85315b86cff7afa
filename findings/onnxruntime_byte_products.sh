#!/usr/bin/env bash
# What: onnxruntime's MatMulInteger of unsigned and signed bytes has two answers. With VNNI instructions its sums are right.
# On an x86 CPU with AVX2 and no VNNI it adds two products at a time in 16 bits, which saturate: 255·127 + 255·127 becomes
# 32,767. The standard says that the sums are 32 bits wide. Weights of at most 63 are safe, since 255·63·2 fits.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, QEMU's user emulation (Debian 12: 7.2) as a Haswell CPU.
# A user meets it when a model in 8 bits is tested on one machine and deployed on an older or smaller one: the same file gives
# other sums there, without a word. Quantization tools call the remedy "reduce range".
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ "$(uname -m)" = x86_64 ] || { echo "needs an x86-64 machine"; exit 2; }
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/pip" freeze
emulator=$(command -v qemu-x86_64 || command -v qemu-x86_64-static || true)
if [ -z "$emulator" ]; then
  (cd "$folder" && apt-get download --quiet qemu-user-static && dpkg -x qemu-user-static*.deb qemu)
  emulator=$folder/qemu/usr/bin/qemu-x86_64-static
fi
"$emulator" --version | head -1

cat > "$folder/sums.py" <<'PY'
import json, numpy, onnxruntime
from onnx import TensorProto, helper, numpy_helper

rows, most = 64, 255
weights = numpy.array([[127, 64, 63]] * rows, numpy.int8)
node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
inputs = [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", rows])]
outputs = [helper.make_tensor_value_info("y", TensorProto.INT32, ["n", 3])]
graph = helper.make_graph([node], "g", inputs, outputs, [numpy_helper.from_array(weights, "w")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
sums = session.run(None, {"x": numpy.full((1, rows), most, numpy.uint8)})[0][0].tolist()
print(json.dumps({"sums": sums, "right": [most * int(w) * rows for w in weights[0]]}))
PY
packages=$(echo "$folder"/lib/python3*/site-packages)
real=$(readlink -f "$folder/bin/python")
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
here=$("$folder/bin/python" "$folder/sums.py")
haswell=$(PYTHONPATH=$packages "$emulator" -cpu Haswell "$real" "$folder/sums.py" 2> "$folder/warnings" | tail -1)
grep -q vnni /proc/cpuinfo && echo "this CPU, which has VNNI: $here" || echo "this CPU, which has no VNNI: $here"
echo "an emulated Haswell:      $haswell"
"$folder/bin/python" - "$haswell" <<'PY'
import json, sys

answer = json.loads(sys.argv[1])
equal = [ours == right for ours, right in zip(answer["sums"], answer["right"])]
same = equal == [False, True, True] or equal == [False, False, True]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
