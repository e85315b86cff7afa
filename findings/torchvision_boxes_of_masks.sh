#!/usr/bin/env bash
# What: masks_to_boxes() of torchvision gives boxes that are one pixel too small in both directions for every other function of
# torchvision.ops. It takes the number of the last pixel for the right and lower side, while box_area(), box_iou() and the
# pooling functions measure from edge to edge. The box of a mask of one pixel has the area 0, and that of 4 x 3 pixels 6. One
# expects the area of a rectangle's box to be its number of pixels.
# Versions: torchvision 0.29.2, torch 2.15.0. The installation takes some gigabytes.
# A user meets it with small objects: a box from a perfect mask of 4 x 3 pixels overlaps the true box by half, and one of a
# single line is dropped by remove_small_boxes() or makes a loss infinite.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torchvision==0.29.2 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torchvision|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
from torchvision.ops import box_area, box_iou, masks_to_boxes, remove_small_boxes

rectangles = torch.tensor([[2, 3, 6, 6], [1, 1, 2, 2], [0, 4, 8, 5]])  # left, top, right and lower edge
masks = torch.zeros(3, 8, 8, dtype=torch.bool)
for mask, (left, top, right, bottom) in zip(masks, rectangles.tolist(), strict=True):
    mask[top:bottom, left:right] = True
boxes = masks_to_boxes(masks)
overlap = box_iou(boxes, rectangles.float()).diagonal()
for mask, box, area, share in zip(masks, boxes, box_area(boxes), overlap, strict=True):
    sides = [int(side) for side in box]
    print(f"mask of {int(mask.sum()):2} pixels: box {sides}, area {area:g}, overlap with its edges {share:.2f}")
kept = remove_small_boxes(boxes, 1).tolist()
print("boxes of at least one pixel in both directions:", kept)
same = box_area(boxes).tolist() == [6, 0, 0] and masks.sum((1, 2)).tolist() == [12, 1, 8]
same = same and overlap.tolist() == [0.5, 0, 0] and kept == [0]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
