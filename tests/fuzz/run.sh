#!/usr/bin/env bash
# Fuzzes the parsers of untrusted bytes with libFuzzer, AddressSanitizer and UBSan. Interesting inputs go to
# build/fuzz/corpus/TARGET. A finding ends the run, and its input is stored in build/fuzz.
#   bash tests/fuzz/run.sh TARGET|all [SECONDS]    600 seconds for each target by default
#   bash tests/fuzz/run.sh --keep TARGET|all       packs a minimal set with the same coverage into tests/fuzz/corpus
set -euo pipefail
cd "$(dirname "$0")/../.."

keep=no
[ "${1:-}" = --keep ] && { keep=yes; shift; }
target=${1:-} seconds=${2:-600}
all=$(sed -n 's/.*{"\([a-z0-9_]*\)", [a-z0-9_]*}.*/\1/p' tests/fuzz/targets.cpp)
if [ "$target" != all ] && ! grep -qx "${target:-none}" <<<"$all"; then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  echo "targets: $(tr '\n' ' ' <<<"$all")" >&2
  exit 2
fi

source tests/packages.sh
install_packages "${build_packages[@]}" xz-utils clang libclang-rt-14-dev libomp-14-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzzer
for name in $([ "$target" = all ] && echo "$all" || echo "$target"); do
  found=build/fuzz/corpus/$name kept=build/fuzz/kept/$name archive=tests/fuzz/corpus/$name.tar.xz
  rm -rf "$kept"
  mkdir -p "$found" "$kept"
  [ ! -f "$archive" ] || tar -xJf "$archive" -C build/fuzz/kept
  echo "== $name"
  if [ $keep = yes ]; then
    least=build/fuzz/least/$name
    rm -rf "$least"
    mkdir -p "$least"
    FUZZ_TARGET=$name build/fuzz/fuzzer -merge=1 -max_len=8192 "$least" "$kept" "$found" 2>&1 | tail -n 1
    # The same inputs give the same archive.
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -C build/fuzz/least -c "$name" |
      xz -9e >"$archive"
  else
    QING_THREADS=1 FUZZ_TARGET=$name build/fuzz/fuzzer -max_total_time="$seconds" -max_len=8192 -timeout=10 \
      -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="build/fuzz/$name-" "$found" "$kept" 2>&1 |
      grep -E '^stat::|ERROR|SUMMARY|fuzz:|cov:' | tail -n 12
  fi
done
