#!/usr/bin/env bash
# What: A NaN that is given to a Histogram of prometheus_client is added to the sum and not to the count or to any bucket. The
# sum is NaN from then on, and nothing else shows that there was a bad value. A Summary counts it. One expects NaN in the
# bucket +Inf and in the count, as the last bucket takes all values, or a refusal.
# Versions: prometheus_client 0.26.0.
# A user meets it by observing a loss, a score or a ratio that is once NaN: the mean of all later values, sum by count, is
# gone until the process ends, while the buckets look healthy.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check prometheus_client==0.26.0
"$folder/bin/pip" freeze | grep -iE '^(prometheus_client)=='
cd "$folder"
bin/python -W ignore - <<'PY'
from prometheus_client import CollectorRegistry, Histogram, Summary, generate_latest

registry = CollectorRegistry()
for metric in (Histogram("h", "losses", buckets=(1, 2), registry=registry), Summary("s", "losses", registry=registry)):
    for loss in (0.5, float("nan"), 0.5):
        metric.observe(loss)
lines = dict(line.rsplit(" ", 1) for line in generate_latest(registry).decode().splitlines() if line[0] != "#")
names = ['h_bucket{le="+Inf"}', "h_count", "h_sum", "s_count", "s_sum"]
for name in names:
    print(f"{name:20} {lines[name]}")
same = [lines[name] for name in names] == ["2.0", "2.0", "NaN", "3.0", "NaN"]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
