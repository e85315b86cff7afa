"""The C interface: what is installed compiles as C11, C++ and from Go, exports qing_* alone, and says what `qing predict`
says. No exception leaves it."""

import ctypes
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import BUILD, ROOT

SHIPPED = ROOT / "serve/models/emotion_analysis/1"
TEXTS = ["I love this film", "这个产品真的很差", "a chair, 一把椅子!"]
OK, INVALID_ARGUMENT, IO_ERROR, DATA_ERROR = range(4)


def run(*command, **environment):
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capi") / "prefix"
    run("cmake", "--install", BUILD, "--component", "capi", "--prefix", folder)
    return folder


@pytest.fixture(scope="module")
def flags(prefix):
    return run("pkg-config", "--cflags", "--libs", "qing", PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig")).split()


def lines_of(qing):
    """The output that the examples should have."""
    found = [json.loads(line) for line in qing("predict", "--model", SHIPPED, "--json", *TEXTS).stdout.splitlines()]
    return [f"{one['label']}\t{one['score']:.4f}\t{one['text']}" for one in found]


def test_the_example_in_c(qing, prefix, flags, tmp_path):
    source = ROOT / "examples/c_api/predict.c"
    assert len(source.read_text().splitlines()) <= 30
    run("cc", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", source, "-o", tmp_path / "predict", *flags)
    printed = run(tmp_path / "predict", SHIPPED, *TEXTS, LD_LIBRARY_PATH=str(prefix / "lib"))
    assert printed.splitlines() == lines_of(qing)
    missing = subprocess.run([tmp_path / "predict", tmp_path / "none", "x"], capture_output=True, text=True,
                             env={**os.environ, "LD_LIBRARY_PATH": str(prefix / "lib")})  # fmt: skip
    assert missing.returncode == 1 and "config.json" in missing.stderr


def configured(folder, prefix, languages, find):
    folder.mkdir()
    shutil.copy(ROOT / "examples/c_api/predict.c", folder)
    (folder / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.25)\nproject(user LANGUAGES {languages})\nfind_package(qing {find})\n"
        "add_executable(predict predict.c)\ntarget_link_libraries(predict PRIVATE qing::capi)\n"
    )
    command = ["cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)


def test_a_project_in_c_alone_finds_it_with_cmake(qing, prefix, tmp_path):
    done = configured(tmp_path / "c", prefix, "C", "REQUIRED COMPONENTS capi")
    assert done.returncode == 0, done.stderr
    run("cmake", "--build", tmp_path / "c/build")
    assert run(tmp_path / "c/build/predict", SHIPPED, *TEXTS).splitlines() == lines_of(qing)
    for number, (languages, find, told) in enumerate([
        ("C", "REQUIRED", "the libraries of qing are C++, which this project does not enable"),
        ("C", "REQUIRED COMPONENTS capi tensor", "find_package(qing COMPONENTS capi) for the C interface"),
        ("C CXX", "REQUIRED COMPONENTS c", "qing has no component c; its components are tensor;autograd;nn;optim;serve;capi"),
    ]):  # fmt: skip
        refused = configured(tmp_path / str(number), prefix, languages, find)
        assert refused.returncode != 0 and told in " ".join(refused.stderr.split()), refused.stderr


def test_the_example_in_go(qing, prefix, tmp_path):
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        pytest.skip("there is no Go")
    shutil.copy(ROOT / "examples/c_api/predict.go", tmp_path)
    (tmp_path / "go.mod").write_text("module predict\n")
    environment = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "LD_LIBRARY_PATH": str(prefix / "lib"),
                   "GOFLAGS": "-mod=mod", "GOCACHE": str(tmp_path / "cache"), "GOTOOLCHAIN": "local"}  # fmt: skip
    run(go, "build", "-C", tmp_path, "-o", "predict", ".", **environment)
    assert run(tmp_path / "predict", SHIPPED, *TEXTS, **environment).splitlines() == lines_of(qing)


def test_the_header_is_c_and_cpp(prefix, tmp_path):
    for compiler, name, standard in (("cc", "h.c", "c11"), ("c++", "h.cpp", "c++11")):
        source = tmp_path / name
        source.write_text('#include <qing.h>\nint main(void) { return qing_abi_version() == QING_ABI_VERSION ? 0 : 1; }\n')
        run(compiler, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only",
            f"-I{prefix / 'include'}", source)  # fmt: skip


def test_only_the_interface_is_exported(prefix):
    library = prefix / "lib/libqing.so"
    header = (prefix / "include/qing.h").read_text()
    names = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines() if " T " in line}
    assert names == {f"qing_{name}@@QING_1" for name in (
        "version", "abi_version", "last_error", "load", "free_model", "label_count", "label", "predict", "free_predictions",
        "prediction_count", "predicted_label", "scores", "logits", "is_truncated", "model_problem", "threshold", "has_label", "value")}  # fmt: skip
    assert all(name.split("@")[0] + "(" in header for name in names)
    others = [line for line in run("nm", "-D", "--defined-only", library).splitlines() if " T " not in line]
    assert [line.split()[-1] for line in others] == ["QING_1"]
    assert "libqing.so.1" in run("readelf", "-d", library)
    assert sorted(str(p.relative_to(prefix)) for p in prefix.rglob("*") if p.is_file() and not p.is_symlink())[0] == "include/qing.h"


@pytest.fixture(scope="module")
def library(prefix):
    lib = ctypes.CDLL(str(prefix / "lib/libqing.so"))
    lib.qing_version.restype = lib.qing_last_error.restype = lib.qing_label.restype = ctypes.c_char_p
    lib.qing_scores.restype = lib.qing_logits.restype = ctypes.POINTER(ctypes.c_float)
    lib.qing_label.argtypes = lib.qing_scores.argtypes = lib.qing_logits.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lib.qing_predicted_label.argtypes = lib.qing_is_truncated.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    lib.qing_label_count.argtypes = lib.qing_prediction_count.argtypes = [ctypes.c_void_p]
    lib.qing_label_count.restype = lib.qing_prediction_count.restype = ctypes.c_size_t
    lib.qing_free_model.argtypes = lib.qing_free_predictions.argtypes = [ctypes.c_void_p]
    lib.qing_predict.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_size_t),
                                 ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)]  # fmt: skip
    return lib


@pytest.fixture(scope="module")
def model(library):
    handle = ctypes.c_void_p()
    assert library.qing_load(str(SHIPPED).encode(), 0, ctypes.byref(handle)) == OK
    yield handle
    library.qing_free_model(handle)


def predict(library, model, texts, lengths=True):
    pointers = (ctypes.c_char_p * len(texts))(*texts)
    sizes = (ctypes.c_size_t * len(texts))(*map(len, texts)) if lengths else None
    predictions = ctypes.c_void_p()
    status = library.qing_predict(model, pointers, sizes, len(texts), ctypes.byref(predictions))
    return status, predictions


def test_logits_and_scores_are_those_of_qing(qing, library, model):
    lines = qing("predict", "--model", SHIPPED, "--json", "--logits", *TEXTS, "good " * 500).stdout.splitlines()
    texts = [text.encode() for text in (*TEXTS, "good " * 500)]
    for lengths in (True, False):
        status, predictions = predict(library, model, texts, lengths)
        assert status == OK and library.qing_prediction_count(predictions) == 4
        for i, line in enumerate(map(json.loads, lines)):
            assert library.qing_logits(predictions, i)[:3] == pytest.approx(line["logits"], abs=1e-6)
            assert library.qing_scores(predictions, i)[:3] == pytest.approx(list(line["scores"].values()), abs=1e-6)
            assert library.qing_label(model, library.qing_predicted_label(predictions, i)).decode() == line["label"]
            assert library.qing_is_truncated(predictions, i) == line["truncated"]
        assert library.qing_predicted_label(predictions, 4) == -1 and not library.qing_scores(predictions, 4)
        library.qing_free_predictions(predictions)
    assert library.qing_version().decode() == qing("--version").stdout.split()[1]
    assert library.qing_label_count(model) == 3 and library.qing_label(model, 3) is None


def test_errors_are_statuses_with_a_text(library, model, tmp_path):
    handle = ctypes.c_void_p(1)
    assert library.qing_load(str(tmp_path / "none").encode(), 0, ctypes.byref(handle)) == IO_ERROR
    assert b"config.json" in library.qing_last_error() and handle.value is None
    (tmp_path / "config.json").write_text("{")
    assert library.qing_load(str(tmp_path).encode(), 0, ctypes.byref(handle)) == DATA_ERROR
    assert library.qing_load(str(SHIPPED).encode(), 9, ctypes.byref(handle)) == INVALID_ARGUMENT
    assert b"QING_BF16" in library.qing_last_error()
    assert library.qing_load(None, 0, ctypes.byref(handle)) == INVALID_ARGUMENT
    assert predict(library, model, [b"good", b"\xff"])[0] == DATA_ERROR
    assert b"text 1: invalid UTF-8" in library.qing_last_error()
    assert predict(library, model, [b"good", None], lengths=False)[0] == INVALID_ARGUMENT
    assert predict(library, None, [b"good"])[0] == INVALID_ARGUMENT
    library.qing_free_model(None)
    library.qing_free_predictions(None)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(library.qing_last_error()), daemon=True)
    thread.start()
    thread.join()
    assert seen == [b""], "the error of a thread is another thread's"


def test_many_threads_use_one_model(library, model):
    texts = [text.encode() for text in TEXTS]
    wanted, results = [], []

    def work(into):
        for _ in range(5):
            _, predictions = predict(library, model, texts)
            into.append([tuple(library.qing_logits(predictions, i)[:3]) for i in range(len(texts))])
            library.qing_free_predictions(predictions)

    work(wanted)
    threads = [threading.Thread(target=work, args=(results,), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20 and set(map(tuple, results)) == set(map(tuple, wanted)) and len(set(map(tuple, wanted))) == 1
