#!/usr/bin/env bash
# Builds a model that translates between English and Chinese, from pairs of texts in pinned packages.
#   bash examples/translation_model.sh OUT [TRAIN OPTION...]
# OUT gets the pairs (OUT/data) and the model (OUT/model), whose card has its scores. What is there already is not made
# again, and an interrupted training goes on. Further options, such as --epochs 10, are those of qing train and stand in place
# of the script's own. Needs a build (README.md), apt-get, dpkg-deb and pip. Four epochs take about 40 minutes on two cores. The
# pairs are texts of software, so the model translates those and little else.
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

# A training refuses an option that is given twice, so those that are given stand in place of the script's own.
options=()
own() {
  for each in "${given[@]}"; do [ "${each%%=*}" != "$1" ] || return 0; done
  options+=("$1" "$2")
}
given=("$@")
own --layers 3
own --decoder-layers 2
own --width 192
own --vocab 8000
own --epochs 4
own --lr 0.002
own --warmup 0.05
own --adam-beta2 0.98
own --label-smoothing 0.1
own --ema 0.999
is_finished() { grep -qs '"state": *"finished"' "$out/model/run/run.json"; }
if is_finished; then
  echo "reusing $out/model"
else
  "$qing" train --task translation --data "$out/data/train.tsv" --dev "$out/data/dev.tsv" --directions en-zh,zh-en \
    --licence "MPL-2.0 (LibreOffice)" --licence "Apache-2.0 (Home Assistant)" "${options[@]}" --out "$out/model" --resume "$@"
  # A training that was told to stop has saved its state and ended without an error, too.
  is_finished || exit 130
fi

printf '\n'
"$qing" translate --model "$out/model" --to zh "Open the settings of the document."
"$qing" translate --model "$out/model" --to en "打开文档的设置。"
