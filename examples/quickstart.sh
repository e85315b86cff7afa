#!/usr/bin/env bash
# Goes from nothing to a served sentiment model: installs what qing needs, builds it, fetches public data, trains, evaluates
# on held-back texts, serves the new model beside the one that comes with qing, and predicts with both through the Python
# client. Needs Debian 12 and root or sudo.
#   bash examples/quickstart.sh [--keep]    --keep leaves the server running
set -euo pipefail
cd "$(dirname "$0")/.."

keep=no
for argument in "$@"; do
  case $argument in
    --keep) keep=yes ;;
    --help | -h) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart.sh: unknown option $argument; see --help" >&2; exit 2 ;;
  esac
done

trap 'echo "quickstart: FAILED at line $LINENO" >&2' ERR
# `qing train` saves and exits with 0 on Ctrl-C. Its model is not finished, so this script has to end too.
trap 'echo "quickstart: interrupted" >&2; exit 130' INT
step() { printf '\n== %s\n' "$*"; }
fail() { echo "quickstart: FAILED: $*" >&2; exit 1; }

grep -q 'VERSION_ID="12"' /etc/os-release 2>/dev/null || echo "note: made for Debian 12; this is another system"

step "1/6 packages"
source tests/packages.sh
install_packages "${build_packages[@]}" python3

build=build/quickstart
mkdir -p $build
step "2/6 build (Release)"
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DQING_BUILD_TESTS=OFF -DQING_BUILD_BENCHMARKS=OFF \
  -DQING_BUILD_EXAMPLES=OFF -DQING_BUILD_C_INTERFACE=OFF -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=16 >$build.log 2>&1 || { cat $build.log; fail "cmake"; }
cmake --build $build
qing=$PWD/$build/qing

data=$build/data
step "3/6 data"
if [ -s $data/train.tsv ] && [ -s $data/held.tsv ]; then
  echo "reusing $data"
else
  python3 examples/fetch_public_data.py $data
fi

models=$build/models
model=$models/quickstart/1
step "4/6 train"
if [ -s $model/model.safetensors ] && [ -e $model/trained ]; then
  echo "reusing $model; remove it to train anew"
else
  # The text classifier trains on 2 cores in a few minutes. A bar on the terminal shows the progress. --resume continues an
  # interrupted training.
  "$qing" train --data $data/train.tsv --layers 2 --width 128 --vocab 16000 --epochs 2 --out $model --resume
  touch $model/trained
fi

step "5/6 evaluate on held-back texts"
"$qing" eval --model $model --data $data/held.tsv
echo "and the model that comes with qing, which may have seen some of these texts:"
"$qing" eval --data $data/held.tsv

step "6/6 serve"
# The models that come with qing are named emotion_analysis, fashion_mnist and translation, and the new one quickstart.
for shipped in serve/models/*/; do
  rm -rf "$models/$(basename "$shipped")"
  cp -r "$shipped" $models/
done
server_log=$build/server.log
"$qing" serve --models $models --port "${QING_PORT:-0}" >$build/server.out 2>$server_log &
server=$!
stop_server() { kill "$server" 2>/dev/null && wait "$server" || true; }
trap stop_server EXIT
for _ in $(seq 100); do
  endpoint=$(sed -n 's/^listening on //p' $build/server.out)
  [ -n "$endpoint" ] && break
  kill -0 $server 2>/dev/null || { cat $server_log; fail "the server ended"; }
  sleep 0.1
done
[ -n "$endpoint" ] || fail "the server did not begin to listen"
echo "serving at $endpoint, with a page for browsers at $endpoint/"

cat >$build/sample.py <<'PY'
from maas_sdk import MaaSClient
maas_client = MaaSClient(api_key='your_api_key')
emotion_model = maas_client.get_model('emotion_analysis')
texts = ['我非常喜欢这个电影', '这个产品真的很差']
emotions = emotion_model.predict(texts)
for text, emotion in zip(texts, emotions):
    print(f'文本：{text}，情感：{emotion}')
PY
export MAAS_ENDPOINT=$endpoint PYTHONPATH=$PWD/serve/sdk/python PYTHONDONTWRITEBYTECODE=1 PYTHONIOENCODING=utf-8
answer=$(python3 $build/sample.py)
echo "$answer"
expected='文本：我非常喜欢这个电影，情感：positive
文本：这个产品真的很差，情感：negative'
[ "$answer" = "$expected" ] || fail "the sample's emotions are not positive, negative"

echo
echo "and sentences that are not in its training set:"
python3 - $data/train.tsv <<'PY'
import sys
from maas_sdk import MaaSClient

expected = {
    "The acting was superb and the story moved me to tears, what a wonderful evening.": "positive",
    "Terrible service, the food was cold and I will never come back.": "negative",
    "The committee meets on Tuesday in room four.": "neutral",
    "这家店的服务态度很好，东西也很实惠，下次还会再来": "positive",
    "快递太慢了，包装也破了，非常失望": "negative",
}
with open(sys.argv[1], encoding="utf-8") as file:
    seen = {line.rstrip("\n").split("\t")[-1] for line in file}
assert not seen & expected.keys(), "a sentence is in the training set"
client = MaaSClient(api_key="your_api_key")
for name in ("emotion_analysis", "quickstart"):
    print(f" {name}:")
    right = 0
    for (text, want), emotion in zip(expected.items(), client.get_model(name).predict(list(expected))):
        right += emotion == want
        print(f"  {'right' if emotion == want else 'WRONG'}  {emotion:8}  {emotion.score:.2f}  {text}")
    if right < len(expected):
        raise SystemExit(f"{name}: only {right} of {len(expected)} are right")
PY

echo
echo "a drawing, named by the model of pictures of clothes that comes with qing:"
python3 - examples/pictures/trouser.png <<'PY'
import sys
from maas_sdk import MaaSClient

with open(sys.argv[1], "rb") as file:
    (picture,) = MaaSClient(api_key="your_api_key").get_model("fashion_mnist").predict([file.read()])
print(f"  {picture}  {picture.score:.2f}  {sys.argv[1]}")
if picture != "trouser":
    raise SystemExit("fashion_mnist: the drawing of a trouser has another name")
PY

echo
echo "a sentence, translated by the model of software's texts that comes with qing:"
python3 - <<'PY'
from maas_sdk import MaaSClient

text = "Open the settings of the document."
translation = MaaSClient(api_key="your_api_key").get_model("translation").translate(text, target="zh")
print(f"  {text}  {translation}")
if "设置" not in translation:
    raise SystemExit("translation: the sentence has another translation")
PY

if [ $keep = yes ]; then
  trap - EXIT
  echo
  echo "the server keeps running; open $endpoint/ in a browser (stop it with: kill $server)"
fi
echo
echo "quickstart: success. Serve all models again with:"
echo "  $build/qing serve --models $models"
