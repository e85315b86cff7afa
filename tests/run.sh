#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all tests. The last line is "N passed, N failed".
#   bash tests/run.sh                the default: C++ and Python tests of the release build
#   bash tests/run.sh --only-cpp     without the Python tests
#   bash tests/run.sh --tidy         with all checks of clang-tidy, a file at a time, up to half an hour more
#   bash tests/run.sh --sanitize     C++ tests under address, undefined-behaviour and thread sanitizers
#   bash tests/run.sh --coverage     C++ tests, and which lines and branches they reach, in build/coverage/report
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD

python_tests=yes sanitize=no tidy=no coverage=no test_seconds=600
for argument in "$@"; do
  case $argument in
    --only-cpp) python_tests=no ;;
    --sanitize) sanitize=yes test_seconds=3600 ;;  # these builds are many times slower
    --tidy) tidy=yes ;;
    --coverage) coverage=yes python_tests=no test_seconds=3600 ;;
    --help | -h) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "tests/run.sh: unknown option $argument; see --help" >&2; exit 2 ;;
  esac
done

step() { printf '\n== %s\n' "$*"; }
die() {
  echo "error: $*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

# Threads that wait for work give up their core, since tests run beside each other on it.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

source tests/packages.sh
step "packages"
install_packages "${build_packages[@]}" ccache git python3 python3-venv openssl libdnnl-dev libbenchmark-dev libgtest-dev \
  librapidcheck-dev openmpi-bin libopenmpi-dev mpich libmpich-dev valgrind clang-format-14 clang-tidy-14 libomp-14-dev doxygen chromium \
  chromium-driver fonts-noto-cjk ||
  die "the packages above could not be installed"

passed=0 failed=0
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT

# count_junit FILE: adds the cases of a JUnit report to the sums and lists the skipped ones with their reasons.
count_junit() {
  local counts
  counts=$(python3 - "$1" <<'PY'
import sys
import xml.etree.ElementTree as tree

passed = failed = 0
for case in tree.parse(sys.argv[1]).iter('testcase'):
    name = (case.get('classname') or '') + '.' + (case.get('name') or '')
    skipped = case.find('skipped')
    # ctest reports a program that is missing or cannot start as "notrun" too; real skips say SKIP_...
    reason = (skipped.get('message') or '') if skipped is not None else ''
    broken = case.get('status') == 'notrun' and not reason.startswith('SKIP_')
    if broken:
        print(f"not run: {name}: {reason}", file=sys.stderr)
    if broken or case.find('failure') is not None or case.find('error') is not None:
        failed += 1
    elif skipped is not None or case.get('status') in ('notrun', 'disabled'):
        print(f"skipped: {name}: {skipped.get('message') if skipped is not None else ''}", file=sys.stderr)
    else:
        passed += 1
print(passed, failed)
PY
  ) || { failed=$((failed + 1)); return; }
  read -r p f <<<"$counts"
  passed=$((passed + p)) failed=$((failed + f))
  echo "$p passed, $f failed here"
}

# run_preset PRESET [CTEST OPTION...]: builds a preset and runs its GoogleTest cases.
run_preset() {
  step "build: $1"
  cmake --preset "$1" >"$reports/configure.log" 2>&1 || { cat "$reports/configure.log"; die "cmake --preset $1 failed"; }
  cmake --build --preset "$1" || die "the $1 build failed"
  step "C++ tests: $1"
  # The log has the output of every failing test.
  ctest --test-dir "build/$1" -j2 --quiet --timeout "$test_seconds" --output-on-failure "${@:2}" \
    --output-junit "$reports/ctest-$1.xml" --output-log "$reports/ctest.log" ||
    grep -vE '^ *(Start|[0-9]+/[0-9]+) .*|Passed' "$reports/ctest.log" | tail -n 100
  if [ -s "$reports/ctest-$1.xml" ]; then count_junit "$reports/ctest-$1.xml"; else failed=$((failed + 1)); fi
}

# coverage_by_folder FILE: prints what a summary of gcovr says, by folder.
coverage_by_folder() {
  python3 - "$1" <<'PY'
import collections
import json
import sys

sums = collections.defaultdict(collections.Counter)
for file in json.load(open(sys.argv[1]))['files']:
    sums[file['filename'].rpartition('/')[0]].update({key: n for key, n in file.items() if key.endswith(('_total', '_covered'))})
print(f'{"folder":24} {"lines":>7} {"reached":>8} {"branches":>9} {"reached":>8}')
for folder, sum_ in sorted(sums.items()):
    share = [f'{100 * sum_[f"{kind}_covered"] / max(sum_[f"{kind}_total"], 1):.1f}%' for kind in ('line', 'branch')]
    print(f'{folder:24} {sum_["line_total"]:7} {share[0]:>8} {sum_["branch_total"]:9} {share[1]:>8}')
PY
}

# python_environment NAME REQUIREMENTS: sets `environment` to a folder with the pinned packages, which are installed once.
python_environment() {
  environment=${QING_CACHE:-$HOME/.cache/qing}/$1-$(sha256sum "$2" | cut -c1-16)
  [ -e "$environment/complete" ] && return
  rm -rf "$environment"
  python3 -m venv "$environment" || die "python3 -m venv failed"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-deps --require-hashes -r "$2" ||
    die "pip could not install $2"
  touch "$environment/complete"
}

# run_pytest NAME ARGUMENT...: a session of pytest in `environment`, whose cases are counted.
run_pytest() {
  local code before=$failed
  # A test that hangs fails, and the others go on. If that does not help, the session ends and says so.
  QING_BINARY=$root/build/release/qing QING_BUILD=$root/build/release PYTHONPATH=$root/serve/sdk/python \
    QING_TEST_LOGS=$reports/logs PYTHONDONTWRITEBYTECODE=1 timeout --foreground --signal=INT --kill-after=60 3600 \
    "$environment/bin/python" -m pytest "${@:2}" -q -rs -p no:cacheprovider \
    --timeout=900 --timeout-method=signal --junit-xml="$reports/pytest-$1.xml"
  code=$?
  if [ -s "$reports/pytest-$1.xml" ]; then count_junit "$reports/pytest-$1.xml"; else failed=$((failed + 1)); fi
  # An interrupted session leaves a report of only the earlier cases, none of them failed.
  if [ $code -ne 0 ] && [ "$failed" -eq "$before" ]; then
    echo "pytest ended with $code"
    failed=$((failed + 1))
  fi
}

step "format"
if git ls-files '*.cpp' '*.h' '*.inl' | xargs -n 50 clang-format-14 --dry-run -Werror; then
  passed=$((passed + 1))
else
  echo "clang-format-14 -i FILE repairs each file above"
  failed=$((failed + 1))
fi

step "API reference"
mkdir -p build
if doxygen docs/Doxyfile; then
  passed=$((passed + 1))
else
  failed=$((failed + 1))
fi

if [ $sanitize = yes ]; then
  # Without this option, undefined behaviour is only a line in the log of a passing test.
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 run_preset asan
  # Long series of products on one thread are left out, because they cannot race.
  run_preset tsan -E 'EqualsEigen|\.on_'
elif [ $coverage = yes ]; then
  # Counts of earlier runs would be added.
  find build/coverage -name '*.gcda' -delete 2>/dev/null
  run_preset coverage
  step "coverage"
  python_environment coverage tests/coverage-requirements.txt
  rm -rf build/coverage/report
  mkdir -p build/coverage/report
  # Branches that only an exception takes out of a call are left out: every call has one. A line of a template counts once.
  if "$environment/bin/gcovr" --root . --filter '(tensor|autograd|nn|optim|serve)/' --exclude 'serve/cli/' \
    --exclude-throw-branches --exclude-unreachable-branches --merge-lines --gcov-suspicious-hits-threshold 0 \
    --gcov-ignore-parse-errors=negative_hits.warn_once_per_file \
    --html-nested build/coverage/report/index.html --json-summary build/coverage/report/summary.json --print-summary \
    build/coverage && coverage_by_folder build/coverage/report/summary.json; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
else
  run_preset release
fi

# Of the release build.
plain=no
[ $sanitize = no ] && [ $coverage = no ] && plain=yes

if [ $plain = yes ]; then
  step "static analysis"
  all=()
  [ $tidy = yes ] && all=(--all)
  if python3 tests/tidy.py "${all[@]}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
fi

# The kernels of another architecture, against plain C++, in an emulator. Only these are built for it.
if [ "$(uname -m)" = x86_64 ] && [ $plain = yes ]; then
  step "NEON kernels in an emulator"
  if install_packages g++-aarch64-linux-gnu qemu-user; then
    kernels=tensor/kernels
    if aarch64-linux-gnu-g++ -std=c++20 -O2 -ffp-contract=off -Wall -Wextra -Werror -static -I cmake/include \
      tests/tools/kernel_check.cpp tensor/active_isa.cpp $kernels/isa_scalar.cpp $kernels/isa_neon.cpp \
      -o "$reports/kernel_check" && qemu-aarch64 "$reports/kernel_check" neon; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  else
    echo "skipped: no cross compiler or no emulator"
  fi
fi

# The C library with the model that comes with qing, likewise.
if [ "$(uname -m)" = x86_64 ] && [ $plain = yes ]; then
  step "AArch64 in an emulator"
  if install_packages g++-aarch64-linux-gnu qemu-user && [ "$(id -u)" -eq 0 ]; then
    if bash tests/aarch64.sh build/release/qing build/aarch64; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  else
    echo "skipped: no cross compiler, no emulator, or not root"
  fi
fi

if [ $python_tests = yes ] && [ $plain = yes ]; then
  step "Python environment"
  echo "torch, transformers and tokenizers take about 3 GB, installed once"
  python_environment venv tests/python/requirements.txt
  # Programs that only tests run, such as nginx. Without them these tests are skipped.
  unpack_packages "${QING_CACHE:-$HOME/.cache/qing}/programs" nginx prometheus || echo "skipped: nginx or promtool is missing"
  step "Python and end-to-end tests"
  mkdir "$reports/logs"
  # The files of tests are divided between two processes. The test that reads the logs of all servers runs when both have ended.
  run_pytest tests -n 2 --dist loadfile --ignore tests/python/test_all_logs.py tests/python
  run_pytest logs tests/python/test_all_logs.py
fi

step "summary"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
