#!/usr/bin/env bash
# Builds an image classifier from Debian's pinned package of Fashion-MNIST (60,000 + 10,000 pictures of clothes, MIT):
#   bash examples/image_model.sh OUT [TRAIN OPTION...]
# OUT gets the data (OUT/data), short trainings of several settings (OUT/trials) and the model models/fashion_mnist/1 with its
# card. The trials hold a tenth of the training pictures out, and the settings with the best accuracy on these are chosen
# (OUT/chosen.json). The model learns all training pictures with them. The 10,000 test pictures are scored once, at its end: they
# choose nothing. Further options, such as --epochs 4, are those of qing train and stand in place of the script's own. What is
# there already is not made again, and an interrupted training goes on. Needs a build (README.md), apt-get and Python 3. Serve it
# with build/release/qing serve --models OUT/models
set -euo pipefail

case ${1:-} in
  --help | -h) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  "" | -*) echo "image_model.sh: give the folder OUT; see --help" >&2; exit 2 ;;
esac
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
qing=${QING_BINARY:-$PWD/build/release/qing}
[ -x "$qing" ] || { echo "image_model.sh: $qing does not exist; build it, or set QING_BINARY" >&2; exit 1; }
interrupted() { echo "image_model.sh: interrupted; the same command continues" >&2; exit 130; }
trap interrupted INT

package=dataset-fashion-mnist version='0.0~git20200523.55506a9-1'
digest=39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0
data=$out/data/usr/share/datasets/fashion-mnist
if [ ! -e "$data/t10k-labels-idx1-ubyte.gz" ]; then
  downloads=$(mktemp -d)
  trap 'rm -rf "$downloads"' EXIT
  (cd "$downloads" && apt-get download -qq "$package=$version" >/dev/null 2>&1) ||
    { echo "image_model.sh: apt-get cannot download $package $version" >&2; exit 1; }
  file=$(echo "$downloads/$package"_*.deb)
  echo "$digest  $file" | sha256sum --check --quiet ||
    { echo "image_model.sh: $package has another SHA-256 than $digest" >&2; exit 1; }
  dpkg -x "$file" "$out/data"
fi

# The options in the order of their first names, of which a later one replaces an earlier one. A training refuses an option
# that is given twice.
options=()
given() {
  options=()
  local -A place=()
  local -a names=() values=()
  while [ $# -gt 0 ]; do
    local name=${1%%=*}
    [[ $name == --* ]] || { echo "image_model.sh: '$1' is no option; write --NAME VALUE" >&2; exit 2; }
    if [[ $1 == *=* ]]; then local value=${1#*=}; shift; else
      [[ $# -gt 1 && $2 != --* ]] || { echo "image_model.sh: $1 has no value" >&2; exit 2; }
      local value=$2; shift 2
    fi
    [ -n "${place[$name]:-}" ] || { place[$name]=${#names[@]}; names+=("$name"); }
    values[place[$name]]=$value
  done
  for i in "${!names[@]}"; do options+=("${names[i]}" "${values[i]}"); done
}

is_finished() { grep -qs '"state": *"finished"' "$1/run/run.json"; }
names=(T-shirt trouser pullover dress coat sandal shirt sneaker bag boot)
maps=()
for i in "${!names[@]}"; do maps+=(--map "$i=${names[i]}"); done

# train FOLDER OPTION...: makes a model unless it is finished.
train() {
  local folder=$1
  shift
  if is_finished "$folder"; then echo "reusing $folder"; return; fi
  "$qing" train --task image --data "$data/train-images-idx3-ubyte.gz" --out "$folder" --resume "${maps[@]}" "$@"
  # A training that was told to stop has saved its state and ended without an error, too.
  is_finished "$folder" || interrupted
}

basis=(--widths 16,64,128,256 --epochs 15 --ema 0.998 --checkpoint-every 300)
given "${basis[@]}" "$@"
epochs=15
for ((i = 0; i < ${#options[@]}; i += 2)); do [ "${options[i]}" != --epochs ] || epochs=${options[i + 1]}; done
[[ $epochs =~ ^[1-9][0-9]{0,5}$ ]] || { echo "image_model.sh: --epochs $epochs is no number of epochs" >&2; exit 2; }

# Each trial has a quarter of the epochs. Settings that the options replace are tried once.
settings=("--lr 0.1 --erase 0" "--lr 0.2 --erase 0" "--lr 0.1 --erase 0.5" "--lr 0.1 --erase 0 --mixup 0.2")
model=$out/models/fashion_mnist/1
if [ ! -s "$out/chosen.json" ]; then
  tried=()
  for setting in "${settings[@]}"; do
    given "${basis[@]}" $setting "$@" --epochs $(((epochs + 3) / 4))
    [[ " ${tried[*]} " != *" ${options[*]} "* ]] || continue
    tried+=("${options[*]}")
    printf '\n== trial: %s\n' "$setting"
    trial=$out/trials/$(echo "$setting" | tr -d ' ' | tr -s - _)
    train "$trial" "${options[@]}" --dev-share 0.1
    echo "$setting" >"$trial/setting"
  done
  python3 - "$out" <<'CHOOSE'
import json, os, pathlib, sys

out = pathlib.Path(sys.argv[1])
trials = []
for folder in sorted((out / "trials").iterdir()):
    lines = (folder / "run/metrics.jsonl").read_text().splitlines()
    scores = [line["dev"][0]["accuracy"] for line in map(json.loads, lines) if line["type"] == "evaluation"]
    trials.append({"setting": (folder / "setting").read_text().strip(), "held_out_accuracy": max(scores)})
trials.sort(key=lambda trial: -trial["held_out_accuracy"])
(out / "chosen.json.new").write_text(json.dumps({"setting": trials[0]["setting"], "trials": trials}, indent=1) + "\n")
os.replace(out / "chosen.json.new", out / "chosen.json")
CHOOSE
fi
setting=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["setting"])' "$out/chosen.json")

# Test pictures are scored by the evaluation at the end, which is the only one.
printf '\n== model: %s\n' "$setting"
given "${basis[@]}" $setting "$@" --eval-every 1000000000
train "$model" "${options[@]}" --dev "$data/t10k-images-idx3-ubyte.gz"
echo "the model is in $model; serve it with: $qing serve --models $out/models"
