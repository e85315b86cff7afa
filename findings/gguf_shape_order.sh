#!/usr/bin/env bash
# What: GGUFReader gives every tensor two shapes that are each other's reverse. `tensor.shape` is the file's order, the
# fastest dimension first; `tensor.data.shape` is NumPy's, the slowest first. The writer takes NumPy's.
# Versions: gguf 0.19.0, numpy 2.4.6.
# A user meets it when reshaping the data by the tensor's own `shape`. A square matrix keeps its shape, but in any other
# matrix the elements silently change places.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check gguf==0.19.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import gguf, numpy

matrix = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
writer = gguf.GGUFWriter("two_by_three.gguf", "example")
writer.add_tensor("matrix", matrix)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
tensor = gguf.GGUFReader("two_by_three.gguf").tensors[0]
told = [int(size) for size in tensor.shape]
print("written", matrix.shape, "tensor.shape", told, "tensor.data.shape", tensor.data.shape)
reshaped = numpy.array(tensor.data).reshape(told)
print("element [1, 0] written", matrix[1, 0], "in data", tensor.data[1, 0], "after reshape(shape)", reshaped[1, 0])
same = told == [3, 2] and tensor.data.shape == (2, 3) and numpy.array_equal(tensor.data, matrix) and reshaped[1, 0] == 2
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
