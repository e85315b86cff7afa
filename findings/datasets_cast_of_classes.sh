#!/usr/bin/env bash
# What: casting a column of classes to the same classes in another order keeps the numbers and changes the names: each text that
# was "negative" is "positive" afterwards. One expects the names to stay and the numbers to change, because a cast changes how
# values are stored and not what they are, and a column of names is cast to classes by name. Putting the two data sets together
# without a cast is refused, and the error is what leads to the cast.
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1.
# A user meets it when data sets are joined whose files have other orders of the labels. align_labels_with_mapping changes the
# numbers.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(datasets|pyarrow|pandas|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from datasets import ClassLabel, Dataset, Features, concatenate_datasets, disable_progress_bars

disable_progress_bars()


def names(dataset):
    return dataset.features["label"].int2str(dataset["label"][:])


one, other = (Features({"label": ClassLabel(names=order)}) for order in (["negative", "positive"], ["positive", "negative"]))
texts = Dataset.from_dict({"label": ["negative", "negative", "positive"]}).cast(one)
print("classes cast from names: ", names(texts))
cast = texts.cast(other)
print("cast to the other order:  ", names(cast))
aligned = texts.align_labels_with_mapping({"positive": 0, "negative": 1}, "label")
print("aligned to the other order:", names(aligned))
try:
    concatenate_datasets([texts, Dataset.from_dict({"label": ["positive"]}).cast(other)])
    refused = False
except ValueError:
    refused = True
print("joining the two orders is refused:", refused)
expected = ["negative", "negative", "positive"]
same = names(texts) == names(aligned) == expected and names(cast) == ["positive", "positive", "negative"] and refused

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
