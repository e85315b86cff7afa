#!/usr/bin/env bash
# What: A CountVectorizer of word pairs that is converted to ONNX misses the pairs across a word that was left out.
# scikit-learn drops words of one letter and stop words first, and makes pairs of those that remain: "and a cat" has the pair
# "and cat". In the converted model a place remains for the dropped word, and the pair is never found. One expects the counts
# of scikit-learn; the vocabulary in the ONNX file has the pairs.
# Versions: skl2onnx 1.20.0, scikit-learn 1.9.1, onnx 1.23.2, onnxruntime 1.32.0.
# A user meets it with any English text, since "a" and "I" have one letter, and TfidfVectorizer has it too: features that the
# classifier was trained with are always 0, and the others of a normalised row are larger.
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
from sklearn.feature_extraction.text import CountVectorizer

seen = {}
for words, texts in ((None, ["dog and a cat"]), (["on"], ["dog sat on mats"])):
    # Without lowercase=False onnxruntime needs a locale of the machine.
    vectorizer = CountVectorizer(ngram_range=(1, 2), stop_words=words, lowercase=False).fit(texts)
    made = convert_sklearn(vectorizer, initial_types=[("text", StringTensorType([None]))])
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    old, new = vectorizer.transform(texts).toarray()[0], session.run(None, {"text": np.array(texts)})[0][0]
    names = vectorizer.get_feature_names_out()
    seen[texts[0]] = list(names[old != new])
    print(f"{texts[0]!r}: scikit-learn finds {list(names[old > 0])}, onnxruntime lacks {seen[texts[0]]}")
same = list(seen.values()) == [["and cat"], ["sat mats"]]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
