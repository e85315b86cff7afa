#!/usr/bin/env bash
# What: the package tfrecord cuts zero bytes off the ends of the texts of a list. A feature with several byte strings becomes a
# NumPy array of fixed-width texts, in which a text ends before its trailing zeros. A feature with one byte string keeps them
# all. One expects bytes to come back as they were written, whether alone or in a list.
# Versions: tfrecord 1.14.6, numpy 2.4.6.
# A user meets it with arrays, pictures or compressed data in a list, such as the frames of a video or several embeddings: those
# that happen to end in a zero come back shorter, and a float such as 1.0 in big-endian order always does.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tfrecord==1.14.6 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(tfrecord|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import tfrecord

frames = [np.array(values, ">f4").tobytes() for values in ([0.1, 0.2], [0.5, 1.0], [0.0, 0.0])]
writer = tfrecord.TFRecordWriter("frames.tfrecord")
writer.write({"frames": (frames, "byte")})
for frame in frames:
    writer.write({"frames": ([frame], "byte")})
writer.close()
together, *alone = [record["frames"] for record in tfrecord.tfrecord_loader("frames.tfrecord", None, {"frames": "byte"})]
lengths = [len(bytes(frame)) for frame in together], [len(bytes(frame)) for frame in alone]
print("written:            ", [frame.hex() for frame in frames])
print("read from one list: ", [bytes(frame).hex() for frame in together])
print("read one by one:    ", [bytes(frame).hex() for frame in alone])
same = lengths == ([8, 6, 0], [8, 8, 8]) and [bytes(frame) for frame in alone] == frames

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
