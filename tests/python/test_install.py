"""qing in other projects: installed (static and shared libraries, all or by component, moved to another place afterwards),
found by CMake and by pkg-config, or built inside another project. Nothing else reaches its users: no options, definitions or
include folders, and no symbols outside namespace qing."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BUILD, ROOT

LIBRARIES = ["tensor", "autograd", "nn", "optim", "serve"]
README_PROGRAM = re.search(r"```cpp\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
VERSION = re.search(r"project\(qing VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
OURS = re.compile(r"_Z(NK?|T[VISTWH]N|ZNK?|GVN|GVZN)4qing")


def run(*command, **environment):
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=900, env={**os.environ, **environment}
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def install(build, prefix, *options):
    """Installs qing and moves it to another place, so that a stored path to the first place fails."""
    first = prefix.with_name(prefix.name + "-first")
    run("cmake", "--install", build, "--prefix", first, *options)
    first.rename(prefix)
    return prefix


@pytest.fixture(scope="module")
def static_prefix(tmp_path_factory):
    assert (BUILD / "CMakeCache.txt").exists(), f"{BUILD} is no CMake build folder"
    return install(BUILD, tmp_path_factory.mktemp("static") / "prefix")


@pytest.fixture(scope="module")
def shared_prefix(tmp_path_factory):
    # In a folder beside the other build, so that the compiler cache reuses its objects.
    build = BUILD.parent / "shared"
    run("cmake", "-S", ROOT, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON",
        "-DQING_UP_TO=optim", "-DQING_BUILD_TESTS=OFF", "-DQING_BUILD_BENCHMARKS=OFF", "-DQING_BUILD_EXAMPLES=OFF")  # fmt: skip
    run("cmake", "--build", build, "-j", "2")
    return install(build, tmp_path_factory.mktemp("shared") / "prefix")


class Consumer:
    """The project of tests/install in its own folder."""

    def __init__(self, folder, components, *options, build=None):
        self.source, self.build = folder / "source", build or folder / "build"
        shutil.copytree(ROOT / "tests/install", self.source)
        (self.source / "optim.cpp").write_text(README_PROGRAM, encoding="utf-8")
        self.configure = ["cmake", "-S", self.source, "-B", self.build, "-G", "Ninja",
                          f"-DCOMPONENTS={';'.join(components)}", *options]  # fmt: skip
        self.components = components

    def make(self):
        run(*self.configure)
        run("cmake", "--build", self.build, "-j", "2", "--target", *(f"use_{name}" for name in self.components))
        return self

    def says(self, component, expected, **environment):
        printed = run(self.build / f"use_{component}", **environment)
        assert printed == expected if expected else printed.strip() in README_PROGRAM, printed

    def check_commands(self, include):
        """Checks that the options come only from this project, and one include folder from qing."""
        commands = [c for c in json.loads((self.build / "compile_commands.json").read_text()) if "source" in c["file"]]
        commands = [c for c in commands if Path(c["file"]).parent == self.source]
        assert len(commands) == len(self.components)
        for command in commands:
            words = command["command"].split()
            options = [word for word in words if word.startswith("-") and word not in ("-o", "-c")]
            allowed = {f"-I{include}", "-isystem", "-std=gnu++20"}
            assert set(options) <= allowed, f"options from elsewhere: {sorted(set(options) - allowed)}"
            assert f"-I{include}" in words or str(include) in words


def test_an_installed_qing_is_found_and_works(static_prefix, tmp_path):
    consumer = Consumer(tmp_path, ["tensor", "optim", "serve"], f"-DCMAKE_PREFIX_PATH={static_prefix}").make()
    consumer.says("tensor", "5\n")
    consumer.says("optim", None)
    consumer.says("serve", "6 0\n")
    consumer.check_commands(static_prefix / "include")
    assert f"qing {VERSION}" in run(static_prefix / "bin/qing", "--version")


def test_the_image_is_built_with_the_packages_that_building_takes():
    listed = re.search(r"build_packages=\(([^)]*)\)", (ROOT / "tests/packages.sh").read_text())[1].split()
    image = (ROOT / "serve/deploy/Dockerfile").read_text().split()
    assert "libboost-json1.81-dev" in listed
    assert set(listed) - set(image) == {"ca-certificates"}  # nothing is fetched except by apt


def test_shared_libraries_are_found_and_work(shared_prefix, tmp_path):
    # Shared libraries bring the libraries that they link, and their users need no headers of those.
    packages = ("fmt", "Boost", "OpenSSL", "SQLite3", "OpenMP", "PkgConfig")
    without = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in packages]
    consumer = Consumer(tmp_path, ["tensor", "optim"], f"-DCMAKE_PREFIX_PATH={shared_prefix}", *without).make()
    consumer.says("tensor", "5\n")
    consumer.says("optim", None)
    consumer.check_commands(shared_prefix / "include")
    needed = run("readelf", "-d", consumer.build / "use_optim")
    assert "libqing_tensor.so.0.1" in needed, "the name of the library does not hold the version of its interface"


def test_one_component_needs_none_of_the_others(static_prefix, tmp_path):
    prefix = install(BUILD, tmp_path / "prefix", "--component", "tensor")
    assert sorted(p.name for p in (prefix / "include/qing").iterdir()) == ["qing.h", "tensor"]
    assert [p.name for p in prefix.rglob("*.a")] == ["libqing_tensor.a"]
    without = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("Boost", "OpenSSL", "SQLite3", "PkgConfig")]
    consumer = Consumer(tmp_path / "one", ["tensor"], f"-DCMAKE_PREFIX_PATH={prefix}", *without).make()
    consumer.says("tensor", "5\n")
    # The same holds if all components are installed and one is requested. A request for a missing one names it.
    consumer = Consumer(tmp_path / "of-all", ["tensor"], f"-DCMAKE_PREFIX_PATH={static_prefix}", *without)
    run(*consumer.configure)
    consumer = Consumer(tmp_path / "other", ["autograd"], f"-DCMAKE_PREFIX_PATH={prefix}")
    refused = subprocess.run(list(map(str, consumer.configure)), capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "component autograd of qing is not installed" in " ".join(refused.stderr.split())


def test_the_command_comes_with_models_and_without_the_record_of_a_server(tmp_path):
    models = install(BUILD, tmp_path / "prefix", "--component", "command") / "share/qing/models"
    assert sorted(p.name for p in models.iterdir()) == ["emotion_analysis", "fashion_mnist", "translation"]


def test_the_examples_build_with_an_installed_qing(static_prefix, tmp_path):
    # As a user does it, from a copy without the sources around it.
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    run("cmake", "-S", tmp_path / "examples", "-B", tmp_path / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={static_prefix}")
    run("cmake", "--build", tmp_path / "build", "-j", "2")
    built = sorted(path.name for path in (tmp_path / "build").glob("example_*") if path.is_file())
    assert built == sorted(f"example_{path.stem}" for path in (ROOT / "examples").glob("[0-9]*.cpp"))
    assert "step 200" in run(tmp_path / "build/example_05_network")


def test_the_one_header_needs_only_what_is_installed(static_prefix, tmp_path):
    prefix = install(BUILD, tmp_path / "prefix", "--component", "tensor")
    program = tmp_path / "use.cpp"
    program.write_text("#include <qing/qing.h>\nint main() { return qing::zeros({2}).numel() == 2 ? 0 : 1; }\n")
    flags = run("pkg-config", "--cflags", "--libs", "qing-tensor", PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig")).split()
    run("g++", program, "-o", tmp_path / "use", *flags)
    run(tmp_path / "use")
    # With all layers it reaches from tensors to optimizers.
    program.write_text(README_PROGRAM, encoding="utf-8")
    flags = run("pkg-config", "--cflags", "--libs", "qing-optim", PKG_CONFIG_PATH=str(static_prefix / "lib/pkgconfig")).split()
    run("g++", program, "-o", tmp_path / "use", *flags)
    assert run(tmp_path / "use").strip() in README_PROGRAM


def test_the_project_of_the_page_for_learners_builds(static_prefix, tmp_path):
    page = (ROOT / "docs/learn.md").read_text(encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(re.search(r"^```cmake\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1])
    (tmp_path / "main.cpp").write_text(README_PROGRAM, encoding="utf-8")
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={static_prefix}", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", tmp_path / "build")
    assert run(tmp_path / "build/mine").strip() in README_PROGRAM


# Preprocessed bytes, since times depend on the machine: g++ 12 parses about 2 MB a second on a Xeon of 2.7 GHz.
LARGEST_HEADER = 3_200_000
# Of the server's own parts, which programs that embed it do not include: they hold Boost's sockets, parsers and JSON.
OF_THE_SERVER = ("qing/serve/http/", "qing/serve/jobs/")


def test_no_header_is_large(static_prefix):
    include = static_prefix / "include"
    headers = sorted(str(path.relative_to(include)) for path in include.rglob("*.h"))
    assert len(headers) > 150
    too_large = {}
    for name in headers:
        text = subprocess.run(["g++", "-std=c++20", "-E", "-P", f"-I{include}", "-I/usr/include/eigen3", "-x", "c++", "-"],
                              input=f"#include <{name}>", capture_output=True, text=True, timeout=60)  # fmt: skip
        assert text.returncode == 0, text.stderr[-2000:]
        if len(text.stdout) > LARGEST_HEADER and "eigen" not in name and not name.startswith(OF_THE_SERVER):
            too_large[name] = len(text.stdout)
    assert not too_large


def test_built_inside_another_project(tmp_path):
    build = BUILD.parent / "inside"
    shutil.rmtree(build, ignore_errors=True)
    consumer = Consumer(
        tmp_path, ["tensor"], "-DFROM_SOURCE=ON", f"-DFETCHCONTENT_SOURCE_DIR_QING={ROOT}", "-DQING_UP_TO=tensor",
        "-DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON", "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON", build=build,
    ).make()  # fmt: skip
    consumer.says("tensor", "5\n")
    consumer.check_commands(ROOT / "cmake/include")
    cache = (build / "CMakeCache.txt").read_text()
    assert re.search(r"^CMAKE_BUILD_TYPE:\w+=$", cache, re.MULTILINE), "qing sets the build type of its user"


@pytest.mark.parametrize("kind", ["static", "shared"])
def test_pkg_config(kind, static_prefix, shared_prefix, tmp_path):
    prefix = static_prefix if kind == "static" else shared_prefix
    (tmp_path / "optim.cpp").write_text(README_PROGRAM, encoding="utf-8")
    path = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "qing-optim", **path).split()
    run("g++", tmp_path / "optim.cpp", "-o", tmp_path / "use", *flags)
    printed = run(tmp_path / "use", LD_LIBRARY_PATH=str(prefix / "lib") if kind == "shared" else "")
    assert printed.strip() in README_PROGRAM


@pytest.mark.parametrize("kind", ["static", "shared"])
def test_installed_files_contain_no_absolute_path_and_no_option(kind, static_prefix, shared_prefix):
    prefix = static_prefix if kind == "static" else shared_prefix
    files = [*prefix.rglob("*.cmake"), *prefix.rglob("*.pc")]
    assert len(files) >= 12
    for file in files:
        text = file.read_text(encoding="utf-8")
        for place in (ROOT, BUILD, prefix.parent):
            assert str(place) not in text, f"{file.name} names {place}"
        assert not re.search(r"INTERFACE_COMPILE_(OPTIONS|DEFINITIONS)|INTERFACE_LINK_OPTIONS|-m\w+=|-ffast-math", text), file
        included = re.findall(r'INTERFACE_(?:SYSTEM_)?INCLUDE_DIRECTORIES "(.*?)"', text)
        places = {"${_IMPORT_PREFIX}/include", "${PACKAGE_PREFIX_DIR}/include"}  # the second is of the C interface
        assert set(included) <= places, f"{file.name} adds {included}"


def symbols(library, *options):
    """Returns (kind, mangled name) of the exported symbols of a library."""
    lines = run("nm", "--extern-only", "--defined-only", *options, library).splitlines()
    return [tuple(line.split()[1:3]) for line in lines if len(line.split()) == 3]


def test_archives_define_nothing_outside_the_namespace(static_prefix):
    for name in LIBRARIES:
        defined = symbols(static_prefix / f"lib/libqing_{name}.a")
        # Weak symbols are inline functions and templates of other libraries, which any object may have.
        foreign = [n for kind, n in defined if not OURS.match(n) and kind not in "WVu"]
        assert len(defined) > 20
        assert foreign == []


def test_shared_libraries_export_the_namespace_alone(shared_prefix):
    for name in LIBRARIES[:4]:
        exported = symbols(shared_prefix / f"lib/libqing_{name}.so", "-D")
        assert len(exported) > 20
        assert [n for _, n in exported if not OURS.match(n)] == []


def test_private_headers_are_not_installed(static_prefix):
    include = static_prefix / "include"
    installed = {str(path.relative_to(include)) for path in include.rglob("*.h")}
    private = ["tensor/ops/loops.h", "tensor/ops/reduce_lanes.h", "tensor/ops/direct_convolution.h",
               "autograd/ops/attention_graph.h", "autograd/ops/pointwise_detail.h", "autograd/node.h", "autograd/view_history.h",
               "nn/layers/check.h", "nn/models/config_reader.h", "nn/models/encoder_config_json.h",
               "nn/models/sentence_modules.h", "serve/cli/command_line.h"]  # fmt: skip
    for name in private:
        assert (ROOT / name).exists(), f"{name} is gone; take it off this list"
        assert f"qing/{name}" not in installed
    # Each installed header finds the headers that it includes.
    for name in installed:
        for target in re.findall(r'#include <(qing/[^>]+)>', (include / name).read_text(encoding="utf-8")):
            assert target in installed, f"{name} includes {target}, which is not installed"


def test_all_files_name_the_version_of_the_build():
    named = {
        "serve/sdk/python/maas_sdk/__init__.py": r'__version__ = "([0-9.]+)"',
        "serve/deploy/Dockerfile": r"qing:([0-9.]+)",
        "serve/deploy/kubernetes.yaml": r"image: qing:([0-9.]+)",
    }
    for name, pattern in named.items():
        found = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"))
        assert found and set(found) == {VERSION}, f"{name}: {found}; CMakeLists.txt has {VERSION}"
