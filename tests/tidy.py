#!/usr/bin/env python3
"""Runs clang-tidy on every source file of the five libraries and of the command, and prints its complaints.

    python3 tests/tidy.py [BUILD]      BUILD defaults to build/release; it must be built

A file that was clean before is not read again while its contents, those of the project's headers that it includes, and
.clang-tidy are the same: the cache folder keeps a stamp for it. Exits with 1 where there is a complaint.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = 'clang-tidy-14'
STAMPS = pathlib.Path(os.environ.get('QING_CACHE') or pathlib.Path.home() / '.cache/qing') / 'tidy'
FOLDERS = ('tensor', 'autograd', 'nn', 'optim', 'serve')


def sources():
    listed = subprocess.run(['git', 'ls-files', *(f'{folder}/*.cpp' for folder in FOLDERS)], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split()
    # The NEON unit compiles for another architecture only.
    return [name for name in listed if not name.endswith('isa_neon.cpp')]


def write_commands(build, folder):
    """Writes the build's compile commands without its precompiled headers, which clang cannot read, to the folder."""
    commands = json.loads(pathlib.Path(build, 'compile_commands.json').read_text())
    for command in commands:
        command['command'] = re.sub(r' -include \S*/cmake_pch\.hxx', '', command['command'])
    pathlib.Path(folder, 'compile_commands.json').write_text(json.dumps(commands))


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


def stamp_of(includes):
    digest = hashlib.sha256((ROOT / '.clang-tidy').read_bytes())
    for name in includes:
        digest.update(name[len(str(ROOT)):].encode() + b'\0' + pathlib.Path(name).read_bytes())
    return STAMPS / digest.hexdigest()


def check(name, commands, includes):
    """The complaints about one file; an empty text if there is none."""
    # A file that the build has not recorded has no stamp.
    stamp = stamp_of(includes) if includes else None
    if stamp and stamp.exists():
        return ''
    run = subprocess.run([TIDY, '--quiet', '-p', commands, name], cwd=ROOT, capture_output=True, text=True)
    if run.returncode == 0 and not run.stdout.strip():
        if stamp:
            stamp.touch()
        return ''
    return run.stdout or run.stderr


def main():
    build = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'build/release').resolve())
    STAMPS.mkdir(parents=True, exist_ok=True)
    includes = headers_by_source(build)
    names = sources()
    with tempfile.TemporaryDirectory() as commands, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        write_commands(build, commands)
        complaints = list(pool.map(lambda name: check(name, commands, includes.get(name)), names))
    for text in filter(None, complaints):
        print(text)
    complained = sum(map(bool, complaints))
    print(f'{len(names)} files, {complained} with complaints')
    return 1 if complained else 0


if __name__ == '__main__':
    sys.exit(main())
