#!/usr/bin/env bash
# Builds an image classifier from Debian's pinned package of Fashion-MNIST (60,000 + 10,000 pictures of clothes, MIT):
#   bash examples/image_model.sh OUT
# OUT gets the data and the model models/fashion_mnist/1, with its card. The 10,000 test pictures are scored once, at the end,
# so they choose no model. What is there already is not made again, and an interrupted training goes on. Needs a build
# (README.md) and apt-get. How long that takes has not been measured. Serve it with
#   build/release/qing serve --models OUT/models
set -euo pipefail

case ${1:-} in
  --help | -h) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
[ $# = 1 ] || { echo "image_model.sh: give the folder OUT; see --help" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
qing=${QING_BINARY:-$PWD/build/release/qing}
[ -x "$qing" ] || { echo "image_model.sh: $qing does not exist; build it, or set QING_BINARY" >&2; exit 1; }
trap 'echo "image_model.sh: interrupted; the same command continues" >&2; exit 130' INT

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

model=$out/models/fashion_mnist/1
if grep -qs '"state": *"finished"' "$model/run/run.json"; then
  echo "reusing $model"
else
  names=(T-shirt trouser pullover dress coat sandal shirt sneaker bag boot)
  maps=()
  for i in "${!names[@]}"; do maps+=(--map "$i=${names[i]}"); done
  "$qing" train --task image --data "$data/train-images-idx3-ubyte.gz" --dev "$data/t10k-images-idx3-ubyte.gz" \
    --out "$model" --resume --checkpoint-every 300 --eval-every 1000000 --widths 16,64,128 --epochs 16 "${maps[@]}"
fi
echo "the model is in $model; serve it with: $qing serve --models $out/models"
