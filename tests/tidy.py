#!/usr/bin/env python3
"""Runs clang-tidy on the source files of the five libraries and of the command, and prints its complaints.

    python3 tests/tidy.py [--all] [--fresh] [BUILD]      BUILD defaults to build/release, which must be built

A file is checked again when its text, a header of the project that it includes, its compile command, .clang-tidy or this
script changed since it was clean. The cache folder keeps a stamp for each clean file. --fresh ignores the stamps.

Most of the time goes into the headers of other projects: each check visits all of them. The default therefore checks
several files as one, like a united build, and leaves out the checks of SLOW. A `using` declaration that only another file
of the batch needs is then not reported. --all checks each file by itself with all checks, which takes about ten times as
long. Exits with 1 if there is a complaint.
"""
import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = 'clang-tidy-14'
STAMPS = pathlib.Path(os.environ.get('QING_CACHE') or pathlib.Path.home() / '.cache/qing') / 'tidy'
FOLDERS = ('tensor', 'autograd', 'nn', 'optim', 'serve')
BATCH = 24
# Checks of .clang-tidy that take the most time, and find what the compiler's warnings or the tests of the sanitizers find
# too, or what this code hardly has: C strings, macros, sizes of types, reserved names.
SLOW = ('bugprone-reserved-identifier', 'bugprone-stringview-nullptr', 'bugprone-suspicious-string-compare',
        'bugprone-infinite-loop', 'bugprone-undelegated-constructor', 'bugprone-assert-side-effect',
        'bugprone-sizeof-expression', 'bugprone-multiple-statement-macro', 'bugprone-suspicious-semicolon',
        'bugprone-not-null-terminated-result', 'bugprone-unused-return-value')  # fmt: skip
COMPLAINT = re.compile(r'^(?=/\S+:\d+:\d+: (?:error|warning): )', re.MULTILINE)


def sources():
    listed = subprocess.run(['git', 'ls-files', *(f'{folder}/*.cpp' for folder in FOLDERS)], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split()
    # The NEON unit compiles for another architecture only.
    return [name for name in listed if not name.endswith('isa_neon.cpp')]


def commands_of(build):
    """By source: the folder and the words of its compile command, without compiler, source and output."""
    found = {}
    for entry in json.loads(pathlib.Path(build, 'compile_commands.json').read_text()):
        name = os.path.relpath(entry['file'], ROOT)
        # clang cannot read the precompiled headers of g++.
        command = re.sub(r' -include \S*/cmake_pch\.hxx| -fpch-preprocess', '', entry['command'])
        words = shlex.split(re.sub(r' -o \S+ -c \S+$', '', command))
        compiler = next(i for i, word in enumerate(words) if word.endswith(('c++', 'g++')))
        found[name] = (entry['directory'], tuple(words[compiler + 1 :]))
    return found


def headers_by_source(build):
    """The project's files that each source includes, as the build recorded them."""
    found = {}
    deps = subprocess.run(['ninja', '-C', build, '-t', 'deps'], check=True, capture_output=True, text=True).stdout
    for block in deps.split('\n\n'):
        files = [os.path.realpath(os.path.join(build, line.strip())) for line in block.splitlines()[1:]]
        inside = sorted(name for name in files if name.startswith(f'{ROOT}/'))
        for name in inside:
            if name.endswith('.cpp'):
                found[os.path.relpath(name, ROOT)] = inside
    return found


def stamp_of(command, includes, all_checks):
    digest = hashlib.sha256(str(all_checks).encode())
    digest.update(' '.join(command).replace(str(ROOT), '').encode())
    for name in (ROOT / '.clang-tidy', __file__, *includes):
        digest.update(os.path.relpath(name, ROOT).encode() + b'\0' + pathlib.Path(name).read_bytes())
    return STAMPS / digest.hexdigest()


def places_compiled_alone():
    """What CMakeLists.txt says of files whose names would clash."""
    places = re.search(r'^qing_compile_alone\((.*?)\)', (ROOT / 'CMakeLists.txt').read_text(), re.MULTILINE | re.DOTALL)
    return tuple(places.group(1).split())


def batches(names, commands):
    """Lists of files that compile as one: of one folder, with the same command, and at most one of those compiled alone."""
    alone = places_compiled_alone()

    def kind(name):
        return name.split('/')[0], name.startswith('serve/cli/'), commands[name]

    for _, group in itertools.groupby(sorted(names, key=lambda name: (kind(name), name)), kind):
        group = list(group)
        lonely = [name for name in group if name.startswith(alone)]
        others = [name for name in group if name not in lonely]
        count = max(len(lonely), -(-len(others) // BATCH))
        for i in range(count):
            yield others[len(others) * i // count : len(others) * (i + 1) // count] + lonely[i : i + 1]


def run_tidy(names, command, all_checks):
    """The output of clang-tidy for files as one; an empty text if there is no complaint."""
    directory, words = command
    with tempfile.TemporaryDirectory() as folder:
        if len(names) == 1:
            source = ROOT / names[0]
        else:
            source = pathlib.Path(folder, 'united.cpp')
            source.write_text(''.join(f'#include "{ROOT / name}"  // NOLINT(bugprone-suspicious-include)\n' for name in names))
        entry = {'directory': directory, 'file': str(source), 'arguments': ['c++', *words, '-c', str(source)]}
        pathlib.Path(folder, 'compile_commands.json').write_text(json.dumps([entry]))
        without = [] if all_checks else ['--checks=' + ','.join(f'-{name}' for name in SLOW)]
        run = subprocess.run([TIDY, '--quiet', f'--config-file={ROOT}/.clang-tidy', *without, '-p', folder, str(source)],
                             cwd=ROOT, capture_output=True, text=True)
    return '' if run.returncode == 0 and not run.stdout.strip() else run.stdout or run.stderr


def check(names, commands, all_checks):
    """The complaints about each file, as far as it has any."""
    text = run_tidy(names, commands[names[0]], all_checks)
    if len(names) > 1 and '[clang-diagnostic-error' in text:
        return [found for name in names for found in check([name], commands, all_checks)]
    complaints = COMPLAINT.split(text) if text else []
    return [found for found in complaints if found.strip()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--fresh', action='store_true')
    parser.add_argument('build', nargs='?', default=ROOT / 'build/release')
    given = parser.parse_args()
    build, begin = str(pathlib.Path(given.build).resolve()), time.monotonic()
    STAMPS.mkdir(parents=True, exist_ok=True)
    commands, includes, names = commands_of(build), headers_by_source(build), sources()
    if missing := [name for name in names if name not in commands]:
        sys.exit(f'{build} does not build {", ".join(missing)}; configure and build it first')
    # A file that the build has not recorded has no stamp.
    stamps = {name: stamp_of(commands[name][1], includes[name], given.all) for name in names if name in includes}
    stale = [name for name in names if given.fresh or name not in stamps or not stamps[name].exists()]
    work = [[name] for name in stale] if given.all else list(batches(stale, commands))

    def checked(batch):
        found = check(batch, commands, given.all)
        if not found:
            for name in batch:
                if name in stamps:
                    stamps[name].touch()
        return found

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # A header's complaint comes from every batch that includes it.
        complaints = list(dict.fromkeys(itertools.chain.from_iterable(pool.map(checked, work))))
    print(''.join(complaints), end='')
    print(f'{len(names)} files, {len(stale)} of them checked in {len(work)} batches and {time.monotonic() - begin:.0f} s: '
          f'{len(complaints)} complaints')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
