"""Files of arrays and weights. qing reads what NumPy and the safetensors package read, or calls it unsupported, and refuses
what they refuse. The table says where qing is stricter than a package."""

import ctypes
import json
import os
import struct

import pytest
from conftest import BUILD

np = pytest.importorskip("numpy")
safetensors = pytest.importorskip("safetensors")

READ, INVALID, UNSUPPORTED = "read", "invalid", "unsupported"


@pytest.fixture(scope="module")
def copy_safetensors():
    function = ctypes.CDLL(str(BUILD / "libweights_exchange.so")).copy_safetensors
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    return function


@pytest.fixture(scope="module")
def copy_npy():
    function = ctypes.CDLL(str(BUILD / "libtensor_exchange.so")).copy_npy
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
    return function


def entry(dtype="U8", shape="[2]", offsets="[0,2]", more="", name="a"):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{more}}}'


def one(*arguments, **options):
    return "{" + entry(*arguments, **options) + "}"


BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
        "C64": 64, "F64": 64, "I64": 64, "U64": 64}  # fmt: skip
OURS = {"BOOL", "U8", "I8", "F16", "BF16", "I32", "F32", "F64", "I64"}

# (name, header, bytes of data, whether the package reads it, qing's reaction)
SAFETENSORS = [
    *((f"{dtype}", one(dtype, "[2,4]", f"[0,{bits}]"), bits, True, READ if dtype in OURS else UNSUPPORTED)
      for dtype, bits in BITS.items()),
    *((f"{dtype} one byte more", one(dtype, "[2,4]", f"[0,{bits + 1}]"), bits + 1, False, INVALID)
      for dtype, bits in BITS.items()),
    *((f"dtype {dtype}", one(dtype, "[2,4]", "[0,8]"), 8, False, INVALID)
      for dtype in ("C128", "F128", "U4", "F8", "f32", "", "TF32")),
    ("half a byte", one("F4", "[3]", "[0,2]"), 2, False, INVALID),
    ("a byte and a half", one("F6_E2M3", "[2]", "[0,2]"), 2, False, INVALID),
    ("three bytes of F6", one("F6_E3M2", "[4]", "[0,3]"), 3, True, UNSUPPORTED),
    ("no element of F4", one("F4", "[0]", "[0,0]"), 0, True, UNSUPPORTED),
    ("spaces before", "   " + one(), 2, True, READ),
    ("all of JSON's white space before", " \t\r\n" + one(), 2, True, READ),
    ("white space after", one() + " \n\t\r", 2, True, READ),
    ("a form feed before", "\f" + one(), 2, False, INVALID),
    ("a byte order mark", "\ufeff" + one(), 2, False, INVALID),
    ("a zero byte after", one() + "\0", 2, False, INVALID),
    ("a letter after", one() + "x", 2, False, INVALID),
    ("an empty header", "", 0, False, INVALID),
    ("spaces alone", "    ", 0, False, INVALID),
    ("no tensors", "{}", 0, True, READ),
    ("no tensors and data", "{}", 1, False, INVALID),
    ("an array", "[]", 0, False, INVALID),
    ("a comma too many", "{" + entry() + ",}", 2, False, INVALID),
    ("not closed", one()[:-1], 2, False, INVALID),
    ("metadata", '{"__metadata__":{"a":"1"},' + entry() + "}", 2, True, READ),
    ("metadata null", '{"__metadata__":null,' + entry() + "}", 2, True, READ),
    ("metadata of numbers", '{"__metadata__":{"a":1}}', 0, False, INVALID),
    ("metadata of objects", '{"__metadata__":{"a":{}}}', 0, False, INVALID),
    ("metadata twice in one, forbidden by the format's description", '{"__metadata__":{"a":"1","a":"2"}}', 0, True, INVALID),
    ("a name twice, forbidden by the format's description", "{" + entry() + "," + entry() + "}", 2, True, INVALID),
    ("a field twice", one(more=',"dtype":"U8"'), 2, False, INVALID),
    ("an unknown field", one(more=',"x":[1,{"y":2}]'), 2, True, READ),
    ("an array for a tensor, which only the package's JSON library takes", '{"a":["U8",[2],[0,2]]}', 2, True, INVALID),
    ("no dtype", '{"a":{"shape":[2],"data_offsets":[0,2]}}', 2, False, INVALID),
    ("no shape", '{"a":{"dtype":"U8","data_offsets":[0,2]}}', 2, False, INVALID),
    ("no offsets", '{"a":{"dtype":"U8","shape":[2]}}', 2, False, INVALID),
    ("three offsets", one(offsets="[0,2,2]"), 2, False, INVALID),
    ("a fraction as size", one(shape="[2.0]"), 2, False, INVALID),
    ("a fraction as offset", one(offsets="[0,2.0]"), 2, False, INVALID),
    ("a negative size", one(shape="[-2]"), 2, False, INVALID),
    ("a size of text", one(shape='["2"]'), 2, False, INVALID),
    ("17 dimensions", one(shape="[" + "1," * 16 + "2]"), 2, True, READ),
    ("65 dimensions", one(shape="[" + "1," * 64 + "2]"), 2, True, UNSUPPORTED),
    ("an overflow before a 0", one("U8", "[4611686018427387904,4611686018427387904,0]", "[0,0]"), 0, False, INVALID),
    ("an overflow after a 0", one("U8", "[0,4611686018427387904,4611686018427387904]", "[0,0]"), 0, True, UNSUPPORTED),
    ("a size of 63 bits and a 0", one("F32", "[4611686018427387904,0]", "[0,0]"), 0, True, READ),
    ("a size of 64 bits and a 0", one("U8", "[18446744073709551615,0]", "[0,0]"), 0, True, UNSUPPORTED),
    ("a size of 64 bits", one("U8", "[18446744073709551615]", "[0,18446744073709551615]"), 0, False, INVALID),
    ("a size of 65 bits", one("U8", "[18446744073709551616,0]", "[0,0]"), 0, False, INVALID),
    ("a hole before", one(offsets="[1,3]"), 3, False, INVALID),
    ("data after", one(), 3, False, INVALID),
    ("too few data", one(), 1, False, INVALID),
    ("an end before the beginning", one(offsets="[2,0]"), 2, False, INVALID),
    ("an overlap", "{" + entry() + "," + entry(offsets="[1,3]", name="b") + "}", 3, False, INVALID),
    ("the same data twice", "{" + entry() + "," + entry(name="b") + "}", 2, False, INVALID),
    ("an empty tensor inside another", "{" + entry("U8", "[0]", "[1,1]") + "," + entry(name="b") + "}", 2, False, INVALID),
    ("an empty tensor between", "{" + entry("U8", "[0]", "[2,2]") + "," + entry(name="b") + "}", 2, True, READ),
    ("another order", "{" + entry(offsets="[2,4]") + "," + entry(name="b") + "}", 4, True, READ),
    ("a float that is not aligned",
     "{" + entry("F32", "[1]", "[1,5]") + "," + entry("U8", "[1]", "[0,1]", name="b") + "}", 5, True, READ),
    ("an empty name", one(name=""), 2, True, READ),
    ("an escaped name", one(name="\\u00e9\\n"), 2, True, READ),
    ("half a surrogate", one(name="\\ud800"), 2, False, INVALID),
    ("no UTF-8", one(name="\udcff"), 2, False, INVALID),
]  # fmt: skip


def safetensors_file(header, size):
    text = header.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(text)) + text + bytes(range(1, size + 1))


@pytest.mark.parametrize("header, size, valid, expected", [case[1:] for case in SAFETENSORS], ids=[case[0] for case in SAFETENSORS])
def test_safetensors_as_the_package(copy_safetensors, tmp_path, capfd, header, size, valid, expected):
    content = safetensors_file(header, size)
    try:
        known = dict(safetensors.deserialize(content))
    except safetensors.SafetensorError:
        known = None
    assert (known is not None) == valid, "the package does not do what the table says"
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    source.write_bytes(content)
    code = copy_safetensors(bytes(source), bytes(target))
    said = capfd.readouterr().err
    if expected == READ:
        assert code == 0, said
        back = dict(safetensors.deserialize(target.read_bytes()))
        assert back.keys() == known.keys()
        for name, tensor in known.items():
            assert back[name]["dtype"] == tensor["dtype"] and back[name]["shape"] == tensor["shape"]
            data = bytes(min(byte, 1) for byte in tensor["data"]) if tensor["dtype"] == "BOOL" else tensor["data"]
            assert bytes(back[name]["data"]) == bytes(data)
    else:
        assert code == 1 and str(source) in said
        assert ("not a valid safetensors file" in said) == (expected == INVALID), said
        assert (": unsupported: " in said) == (expected == UNSUPPORTED), said
        assert not target.exists()


@pytest.mark.parametrize("length", [100_000_001, 2**63, 2**64 - 1])
def test_a_header_beyond_the_limit(copy_safetensors, tmp_path, capfd, length):
    source = tmp_path / "in.safetensors"
    source.write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(safetensors.SafetensorError, match="header too large"):
        safetensors.deserialize(source.read_bytes())
    os.truncate(source, 1 << 40)  # a sparse file: reading it would take minutes and all memory
    assert copy_safetensors(bytes(source), bytes(tmp_path / "out")) == 1
    assert f"{length} bytes long, more than the limit" in capfd.readouterr().err


def header_of(descr="'<f4'", order="False", shape="(1,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


ONE = np.float32(1).tobytes()
STRICTER = "NumPy reads it"  # but qing refuses it, as load_npy documents
# (header, data, version, None where qing behaves like NumPy)
NPY = [
    *((header_of(repr(code)), bytes(range(1, 1 + np.dtype(code).itemsize)), (1, 0), None) for code in (
        "|b1 ? b1 <b1 >b1 =b1 |? |i1 <i1 >i1 i1 =i1 b <b int8 byte |u1 <u1 >u1 u1 B |B uint8 ubyte bool bool_ <f4 f4 |f4 =f4 "
        ">f4 f <f float32 single <f8 f8 |f8 =f8 >f8 d |d >d float64 double float <f2 f2 |f2 >f2 e |e half float16 <i4 i4 |i4 "
        ">i4 i int32 intc <i8 i8 |i8 >i8 l q <q int64 int long longlong").split()),
    *((header_of(repr(code)), bytes(8), (1, 0), None) for code in (
        "!f4", "@f4", " <f4", "<f4 ", "< f4", "<F4", "", "<", "<float32", ">int8", "b2", "<f5", "f3")),
    *((header_of(repr(code)), bytes(np.dtype(code).itemsize), (1, 0), STRICTER) for code in (
        "<u2", "u8", "<i2", "<c8", "S1", "<U1", "V3", "<M8[s]", "<f16", "<f04", "1f4", "<f4,<f4")),
    *((header_of(shape=shape), ONE, (1, 0), None) for shape in (
        "()", "( )", "(1,)", "(1)", "1", "1,", "[1]", "[1,]", "(1,1)", "(1,1,)", "(1,,)", "(,)", "( 1 , )", "(1 ,\n1)", "(01,)",
        "(-1,)", "(1L,)", "(1L, 1L)", "(1 1)", "(1.0,)", "(1e0,)", "('1',)", "(None,)", "(2,)", "((1,),)", "(1,)+()",
        "(99999999999999999999,)", "(4294967296, 4294967296)", "(1, 01)", "(1" + ",1" * 63 + ")", "(1" + ",1" * 64 + ")")),
    *((header_of(shape=shape), ONE, (1, 0), STRICTER) for shape in (
        "(+1,)", "(0x1,)", "(0b1,)", "(0o1,)", "((1),)", "(1,#one\n)")),
    *((header_of(shape=shape), b"", (1, 0), None) for shape in (
        "(0,)", "(00,)", "(-0,)", "(0, 3)", "(3, 0)", "(0)", "(0, 4294967296, 4294967296)")),
    *((header_of(order=order), ONE, (1, 0), None) for order in (
        "True", "False", " False ", "1", "0", "true", "'False'", "None", "not True")),
    *((header_of(shape=shape), ONE, version, None) for shape in ("(1,)", "(1L,)", "(1)") for version in (
        (1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1), (4, 0), (0, 0))),
    *((change(header_of()), ONE, (1, 0), None) for change in (
        lambda h: "   " + h, lambda h: "\t" + h, lambda h: "\n" + h, lambda h: h + "\n\n", lambda h: h + "  \n",
        lambda h: h + "\0", lambda h: h + " x", lambda h: h + ";", lambda h: h + "\f", lambda h: h.replace(", }", "}"),
        lambda h: h.replace(", }", ",, }"), lambda h: h.replace("'", '"'), lambda h: h.replace("'descr'", "b'descr'"),
        lambda h: h.replace(", ", ",\r\n"), lambda h: h.replace(", ", ",\f"), lambda h: h.replace(", ", ",\xa0"),
        lambda h: h.replace("{", "{'x': 1, "), lambda h: h.replace("'shape': (1,), ", ""), lambda h: h.replace(":", ""),
        lambda h: "", lambda h: h[:-1], lambda h: h[1:], lambda h: h + " " * 9_900, lambda h: h + " " * 20_000,
        lambda h: "{'shape': (1,), 'descr': '<f4', 'fortran_order': False}")),
    *((change(header_of()), ONE, (1, 0), STRICTER) for change in (
        lambda h: h.replace("{", "{'descr': '<i4', "), lambda h: h + "#", lambda h: h.replace("'descr'", "'d\\x65scr'"),
        lambda h: h.replace("'descr'", "u'descr'"), lambda h: h.replace("'descr'", "'de' 'scr'"), lambda h: f"({h})")),
    (header_of("[('a', '<f4')]"), ONE, (1, 0), STRICTER),
    (header_of("'|u1'", "True", "(2, 3)"), bytes(range(6)), (1, 0), None),
    (header_of("'>i4'", "True", "(2, 3)"), bytes(range(24)), (2, 0), None),
    (header_of("'>f2'", "False", "(2, 3)"), bytes(range(12)), (3, 0), None),
    (header_of(), ONE[:3], (1, 0), None),
    (header_of(), ONE * 2, (1, 0), STRICTER),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("header, data, version, stricter", NPY)
def test_npy_as_numpy(copy_npy, tmp_path, capfd, header, data, version, stricter):
    text = header.encode("latin1")
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    source.write_bytes(b"\x93NUMPY" + bytes(version) + length + text + data)
    try:
        known = np.load(source)
    except Exception:  # of many types: SyntaxError, OverflowError, tokenize.TokenError
        known = None
    code = copy_npy(bytes(source), bytes(target))
    said = capfd.readouterr().err
    if known is None or stricter:
        assert stricter is None or known is not None, "NumPy refuses it, too"
        assert code == 1 and str(source) in said
        assert not target.exists()
    else:
        assert code == 0, said
        back = np.load(target)
        assert back.shape == known.shape and back.dtype == known.dtype.newbyteorder("=")
        assert np.array_equal(back, known, equal_nan=back.dtype.kind == "f")
