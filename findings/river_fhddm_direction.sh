#!/usr/bin/env bash
# What: The drift detector FHDDM sees a model become better and not worse. Its documentation, as that of the other detectors
# of river.drift.binary, says that 1 is an error and 0 a right answer. With these numbers a rise of the error rate from 5% to
# 60% is never reported, and a fall from 60% to 5% at once. It looks for a falling share of ones, so it needs 1 for a right
# answer. One expects it to agree with DDM and HDDMA, which report the rise alone.
# Versions: river 0.26.1.
# A user meets it by trying another detector in the place of DDM: the alarm of a served model stays silent, and rings after a
# repair.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check river==0.26.1
"$folder/bin/pip" freeze | grep -iE '^(river)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import random

from river.drift import binary

draw = random.Random(0)
few, many = ([int(draw.random() < share) for _ in range(1000)] for share in (0.05, 0.6))
streams = {"rises": few + many, "falls": many + few}


def first_alarm(detector, errors):
    """The place of the first alarm after the error rate has changed at 1000, or None."""
    for place, error in enumerate(errors):
        detector.update(error)
        if place >= 1000 and detector.drift_detected:
            return place
    return None


seen = {}
for name in ("DDM", "HDDMA", "FHDDM"):
    seen[name] = {way: first_alarm(getattr(binary, name)(), errors) for way, errors in streams.items()}
    print(f"{name:5} first alarm when the error rate rises at 1000: {seen[name]['rises']}, falls: {seen[name]['falls']}")
agree = all(seen[name]["rises"] is not None and seen[name]["falls"] is None for name in ("DDM", "HDDMA"))
same = agree and seen["FHDDM"]["rises"] is None and seen["FHDDM"]["falls"] is not None

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
