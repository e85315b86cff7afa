"""Arrays are passed to qing and back: through .npy files, and in memory through DLPack."""

import ctypes

import pytest
from conftest import BUILD

np = pytest.importorskip("numpy")

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "int8", "bool", "float16"]


@pytest.fixture(scope="module")
def library():
    loaded = ctypes.CDLL(str(BUILD / "libtensor_exchange.so"))
    loaded.copy_npy.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    loaded.add_one.argtypes = [ctypes.c_void_p]
    loaded.count_up.argtypes, loaded.count_up.restype = [ctypes.c_int64], ctypes.c_void_p
    return loaded


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 0, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("order", "CF")
def test_npy_files_come_back(library, tmp_path, dtype, shape, order):
    values = np.random.default_rng(3).integers(0, 100, shape)
    array = np.asarray(values - (50 if dtype[0] in "fi" else 0)).astype(dtype, order=order)
    np.save(tmp_path / "in.npy", array)
    assert library.copy_npy(bytes(tmp_path / "in.npy"), bytes(tmp_path / "out.npy")) == 0
    back = np.load(tmp_path / "out.npy")
    assert back.dtype == array.dtype and back.shape == array.shape
    assert np.array_equal(back, array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_is_read(library, tmp_path, version):
    array = np.arange(6, dtype="float32").reshape(2, 3)
    with open(tmp_path / "in.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    assert library.copy_npy(bytes(tmp_path / "in.npy"), bytes(tmp_path / "out.npy")) == 0
    assert np.array_equal(np.load(tmp_path / "out.npy"), array)


@pytest.mark.parametrize("dtype", ["complex64", "uint16", "U3", "datetime64[s]", [("a", "f4"), ("b", "i4")]])
def test_other_dtypes_are_refused(library, tmp_path, dtype, capfd):
    np.save(tmp_path / "in.npy", np.zeros(3, dtype=dtype))
    assert library.copy_npy(bytes(tmp_path / "in.npy"), bytes(tmp_path / "out.npy")) == 1
    assert "in.npy: " in capfd.readouterr().err
    assert not (tmp_path / "out.npy").exists()


def pointer_in(capsule):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return get(capsule, b"dltensor")


def mark_as_taken(capsule):
    rename = ctypes.pythonapi.PyCapsule_SetName
    rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
    rename(capsule, b"used_dltensor")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "int8"])
def test_qing_writes_numpys_memory(library, dtype):
    array = np.arange(12, dtype=dtype).reshape(3, 4)
    capsule = array.T[1:, ::2].__dlpack__()
    assert library.add_one(pointer_in(capsule)) == 0
    mark_as_taken(capsule)
    expected = np.arange(12, dtype=dtype).reshape(3, 4)
    expected.T[1:, ::2] += 1
    assert np.array_equal(array, expected)


# Neither library's memory changes, and the owner of the capsule still frees it.
@pytest.mark.parametrize("dtype", ["bool", "int16", "uint16", "uint32", "uint64", "complex64", "complex128"])
def test_other_dtypes_of_numpys_memory_are_refused(library, dtype, capfd):
    array = np.full(3, 2).astype(dtype)
    capsule = array.__dlpack__()
    assert library.add_one(pointer_in(capsule)) == 1
    if dtype == "bool":  # qing takes the memory, refuses the addition and frees it: the capsule must not free it again
        mark_as_taken(capsule)
    said = capfd.readouterr().err
    assert ("is not one of qing's dtypes" if dtype != "bool" else "add_") in said
    assert np.array_equal(array, np.full(3, 2).astype(dtype))


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "complex64", "int16", "uint32"])
def test_other_dtypes_of_torchs_memory_are_refused(library, dtype, capfd):
    torch = pytest.importorskip("torch")
    capsule = torch.ones(3).to(getattr(torch, dtype)).__dlpack__()
    assert library.add_one(pointer_in(capsule)) == 1
    assert "from_dlpack: type code" in capfd.readouterr().err


@pytest.mark.parametrize("shape, strides", [((), None), ((0,), None), ((3, 0), None), ((1, 4), (1 << 40, 1)), ((4,), (-1,))])
def test_shapes_of_torchs_and_numpys_memory(library, shape, strides):
    if strides is None:
        array = np.zeros(shape, dtype="float32")
    else:
        start = np.zeros(8, dtype="float32")[4:]
        array = np.lib.stride_tricks.as_strided(start, shape, [4 * step for step in strides])
    capsule = array.__dlpack__()
    assert library.add_one(pointer_in(capsule)) == 0
    mark_as_taken(capsule)
    assert np.array_equal(array, np.ones(shape))


def test_numpy_reads_qings_memory(library):
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

    class FromQing:
        def __dlpack__(self, **_):
            return new(library.count_up(10), b"dltensor", None)

        def __dlpack_device__(self):
            return 1, 0

    array = np.from_dlpack(FromQing())
    assert array.strides == (4, 8)
    assert np.array_equal(array, np.arange(10, dtype="float32").reshape(5, 2).T)
