#!/usr/bin/env bash
# Builds a model that translates between English and Chinese, from pairs of texts in pinned packages.
#   bash examples/translation_model.sh OUT [TRAIN OPTION...]
# OUT gets the pairs (OUT/data) and the model (OUT/model), whose card has its scores. What is there already is not made
# again, and an interrupted training goes on. Further options, such as --epochs 10, are those of qing train. Needs a build
# (README.md), apt-get, dpkg-deb and pip. Four epochs take about 40 minutes on two cores. The pairs are texts of software,
# so the model translates those and little else.
set -euo pipefail

case ${1:-} in
  --help | -h) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  "" | -*) echo "translation_model.sh: give OUT; see --help" >&2; exit 2 ;;
esac
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
qing=${QING_BINARY:-$PWD/build/release/qing}
[ -x "$qing" ] || { echo "translation_model.sh: $qing does not exist; build it, or set QING_BINARY" >&2; exit 1; }

# The summary is written last.
[ -s "$out/data/summary.json" ] || python3 examples/fetch_translation_data.py "$out/data"

"$qing" train --task translation --data "$out/data/train.tsv" --dev "$out/data/dev.tsv" --directions en-zh,zh-en \
  --licence "MPL-2.0 (LibreOffice)" --licence "Apache-2.0 (Home Assistant)" --layers 3 --decoder-layers 2 --width 192 \
  --vocab 8000 --epochs 4 --lr 0.002 --warmup 0.05 --adam-beta2 0.98 --label-smoothing 0.1 --ema 0.999 \
  --out "$out/model" --resume "$@"

printf '\n'
"$qing" translate --model "$out/model" --to zh "Open the settings of the document."
"$qing" translate --model "$out/model" --to en "打开文档的设置。"
