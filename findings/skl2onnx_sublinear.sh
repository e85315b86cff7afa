#!/usr/bin/env bash
# What: A TfidfVectorizer with sublinear_tf=True that is converted to ONNX computes log(1 + n) for a word that stands n times
# in a text. scikit-learn computes 1 + log(n). One expects the values of scikit-learn, since the converter takes the option
# and says nothing.
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0.
# A user meets it with a classifier of texts whose pipeline is exported: a text whose words all stand once gives the same
# vector, since its length is divided out, and one with a word twice does not. Tests on short texts pass.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
  skl2onnx==1.20.0 scikit-learn==1.9.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(skl2onnx|scikit-learn|onnx|onnxruntime|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import onnxruntime
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer

texts = ["cat dog", "cat cat dog", "cat cat cat dog"]
seen = {}
for norm in (None, "l2"):
    # Without lowercase=False onnxruntime needs a locale of the machine.
    vectorizer = TfidfVectorizer(sublinear_tf=True, use_idf=False, norm=norm, lowercase=False).fit(texts)
    made = convert_sklearn(vectorizer, initial_types=[("text", StringTensorType([None]))])
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    seen[norm] = vectorizer.transform(texts).toarray(), session.run(None, {"text": np.array(texts)})[0]
    for text, old, new in zip(texts, *seen[norm], strict=True):
        print(f"norm {norm!s:4} {text:15} scikit-learn {old.round(3)} onnxruntime {new.round(3)}")
counts = np.array([[1, 1], [2, 1], [3, 1]])
formulas = np.allclose(seen[None][0], 1 + np.log(counts)) and np.allclose(seen[None][1], np.log(1 + counts), atol=1e-5)
gap = np.abs(seen["l2"][0] - seen["l2"][1]).max(1)
same = formulas and gap[0] < 1e-5 and gap[1:].min() > 0.01

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
