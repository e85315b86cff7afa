#!/usr/bin/env bash
# What: pycocotools never finds the object whose annotation has the id 0. It keeps the id of the matched object beside each
# detection and takes 0 for none. Perfect boxes on four pictures with one object each have an average precision of 0.56 if the
# ids begin with 0, and of 1 if they begin with 1. One expects ids to be names: no rule of the format forbids 0, and pictures
# may have it.
# Versions: pycocotools 2.0.11, numpy 2.4.6.
# A user meets it by numbering the annotations of an own data set with enumerate(): the score of a small set is far too low, and
# of a large one a little.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(pycocotools|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BOX = [10, 10, 50, 50]


def score(first_annotation, first_picture, pictures):
    """Average precision and recall of detections that are equal to the objects."""
    ids = [first_picture + place for place in range(pictures)]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": picture} for picture in ids],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": first_annotation + place, "image_id": picture, "category_id": 1, "bbox": BOX, "area": 2500,
                         "iscrowd": 0} for place, picture in enumerate(ids)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([{"image_id": picture, "category_id": 1, "bbox": BOX, "score": 0.9} for picture in ids])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 2), round(float(evaluation.stats[8]), 2)


seen = {}
for annotation, picture, pictures in ((1, 1, 4), (1, 0, 4), (0, 1, 4), (0, 1, 100)):
    seen[annotation, picture, pictures] = score(annotation, picture, pictures)
    precision, recall = seen[annotation, picture, pictures]
    print(f"{pictures:3} perfect boxes, annotations from {annotation}, pictures from {picture}: AP {precision}, AR {recall}")
same = list(seen.values()) == [(1, 1), (1, 1), (0.56, 0.75), (0.98, 0.99)]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
