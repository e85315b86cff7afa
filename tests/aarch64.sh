#!/usr/bin/env bash
# Builds libqing.so, the C interface, for AArch64 with a cross compiler, and predicts with the model that comes with qing
# in an emulator. The output must be that of the build for this machine.
#   bash tests/aarch64.sh QING FOLDER     QING is the command built for this machine, FOLDER takes what is built
set -euo pipefail
cd "$(dirname "$0")/.."
qing=$1 out=$(realpath -m "$2")
root=$out/root objects=$out/objects triple=aarch64-linux-gnu
rm -rf "$out"
mkdir -p "$root/usr/include" "$objects" "$out/apt/lists/partial" "$out/apt/cache/archives/partial"

# The libraries that qing links, for AArch64. They are unpacked here and not installed: the system stays as it is.
apt_options=(-qq -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o "Dir::State::lists=$out/apt/lists"
  -o "Dir::Cache=$out/apt/cache" -o APT::Sandbox::User=root)
apt-get "${apt_options[@]}" update
(cd "$out/apt" && apt-get "${apt_options[@]}" download libfmt-dev:arm64 libfmt9:arm64 libutf8proc-dev:arm64 \
  libutf8proc2:arm64 libboost-json1.81.0:arm64 libboost-json1.81-dev:arm64)
for package in "$out"/apt/*.deb; do dpkg -x "$package" "$root"; done
ln -sfn /usr/include/boost "$root/usr/include/boost" # headers are the same for all machines

flags=(-std=c++20 -O2 -Wno-psabi -fPIC -fopenmp -ffp-contract=off -I cmake/include -isystem /usr/include/eigen3 -isystem
  "$root/usr/include" -DQING_VERSION='"aarch64"')
compiler=("$triple-g++")
if command -v ccache >/dev/null; then compiler=(ccache "$triple-g++"); fi
# Reading data, pictures and exporting are no part of the interface.
git ls-files 'tensor/*.cpp' 'autograd/*.cpp' 'nn/*.cpp' serve/capi/qing.cpp |
  grep -vE '/isa_(avx|amx)|/(data|exports|images)/|/models/(image_|pixel_)' >"$out/sources"
compile() { "${compiler[@]}" "${flags[@]}" -c "$1" -o "$objects/$(tr / _ <<<"$1").o"; }
export -f compile
declare -p compiler flags >"$out/settings"
export out objects
xargs -P "$(nproc)" -I{} bash -c 'source "$out/settings"; compile {}' <"$out/sources"

libraries=$root/usr/lib/$triple
"$triple-g++" -shared -fopenmp "$objects"/*.o -o "$out/libqing.so.1" -Wl,-soname,libqing.so.1 -Wl,--gc-sections \
  -Wl,--version-script=serve/capi/qing.map -Wl,-z,defs "$libraries/libfmt.so.9" "$libraries/libutf8proc.so.2" \
  "$libraries/libboost_json.so.1.81.0"
ln -sfn libqing.so.1 "$out/libqing.so"
"$triple-gcc" -std=c11 -Wall -Wextra -pedantic -Werror -I serve/capi examples/c_api/predict.c -o "$out/predict" \
  -L "$out" -lqing -Wl,-rpath-link,"$libraries"

texts=("I love this film" "这个产品真的很差" "a chair, 一把椅子!" "The committee meets on Tuesday in room four.")
model=serve/models/emotion_analysis/1
qemu-aarch64 -L "/usr/$triple" -E LD_LIBRARY_PATH="$out:$libraries" "$out/predict" "$model" "${texts[@]}" >"$out/there"
"$qing" predict --model "$model" --json "${texts[@]}" | python3 -c '
import json, sys
for line in sys.stdin:
    one = json.loads(line)
    print(one["label"], "%.4f" % one["score"], one["text"], sep="\t")' >"$out/here"
diff "$out/here" "$out/there"
echo "AArch64 gives the labels and scores of this machine for ${#texts[@]} texts"
