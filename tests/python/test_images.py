"""Pictures are decoded and resized as Pillow does, and what it cannot read is a clear error."""

import io
import struct
import subprocess
import zlib

import numpy
import pytest
from conftest import BUILD
from PIL import Image, features

RNG = numpy.random.default_rng(7)


def smooth(height, width, channels):
    """A picture without noise, as photographs are: JPEG decoders agree on it."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = [127 + 120 * numpy.sin(x / (3 + c) + y / (5 + 2 * c)) for c in range(channels)]
    return numpy.stack(planes, -1).astype("uint8").squeeze()


def pixels(path, channels, size=()):
    """qing's picture [height, width(, channels)], or the text of its error."""
    run = subprocess.run([BUILD / "image_pixels", path, str(channels), *map(str, size)], capture_output=True, timeout=60)
    if run.returncode == 1:
        return run.stderr.decode().strip()
    assert run.returncode == 0, run.stderr
    head, data = run.stdout.split(b"\n", 1)
    height, width, depth = map(int, head.split())
    return numpy.frombuffer(data, "uint8").reshape((height, width, depth)).squeeze(-1 if depth == 1 else ())


def save(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 20)])
def test_png_has_the_pixels_of_pillow(tmp_path, mode, size):
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype="uint8")).convert(mode)
    path = save(tmp_path / "a.png", image)
    for channels, name in ((1, "L"), (3, "RGB")):
        want = numpy.asarray(image.convert("RGB").convert(name) if mode == "P" else image.convert(name))
        numpy.testing.assert_array_equal(pixels(path, channels), want)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_lie_on_white(tmp_path, mode):
    image = Image.fromarray(RNG.integers(0, 256, (9, 12, 4), dtype="uint8"), "RGBA").convert(mode)
    path = save(tmp_path / "a.png", image)
    want = Image.new("RGB", image.size, "white")
    want.paste(image.convert("RGB"), mask=image.getchannel("A"))
    numpy.testing.assert_array_equal(pixels(path, 3), numpy.asarray(want))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, interlace=0, more=b""):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bits_keep_their_upper_8(tmp_path):
    values = RNG.integers(0, 65536, (4, 5)).astype(">u2")
    path = tmp_path / "a.png"
    path.write_bytes(png(5, 4, 16, 0, b"".join(b"\0" + row.tobytes() for row in values)))
    numpy.testing.assert_array_equal(pixels(path, 1), (values >> 8).astype("uint8"))


def test_interlaced_png(tmp_path):
    """Adam7: the seven passes of a gray picture of 8 x 8."""
    image = RNG.integers(0, 256, (8, 8), dtype="uint8")
    rows = b""
    for y, x, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
        rows += b"".join(b"\0" + row.tobytes() for row in image[y::dy, x::dx])
    path = tmp_path / "a.png"
    path.write_bytes(png(8, 8, 8, 0, rows, interlace=1))
    numpy.testing.assert_array_equal(numpy.asarray(Image.open(path)), image)
    numpy.testing.assert_array_equal(pixels(path, 1), image)


def test_an_animated_png_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(RNG.integers(0, 256, (6, 6, 3), dtype="uint8")) for _ in range(3)]
    path = save(tmp_path / "a.png", frames[0], save_all=True, append_images=frames[1:])
    numpy.testing.assert_array_equal(pixels(path, 3), numpy.asarray(frames[0]))


@pytest.mark.parametrize("options", [{}, {"quality": 30}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2}])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_has_the_pixels_of_pillow(tmp_path, options, channels):
    path = save(tmp_path / "a.jpg", Image.fromarray(smooth(37, 50, channels)), **options)
    want = numpy.asarray(Image.open(path)).astype(int)
    # Versions of libjpeg-turbo may round chroma differently.
    assert numpy.abs(pixels(path, channels).astype(int) - want).max() <= 4


def test_cmyk_jpeg(tmp_path):
    path = save(tmp_path / "a.jpg", Image.fromarray(smooth(20, 30, 4), "CMYK"))
    want = numpy.asarray(Image.open(path).convert("RGB")).astype(int)
    assert numpy.abs(pixels(path, 3).astype(int) - want).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_exif_orientation(tmp_path, orientation, name):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / name, Image.fromarray(smooth(16, 24, 3)), exif=exif)
    want = numpy.asarray(ImageOps.exif_transpose(Image.open(path))).astype(int)
    found = pixels(path, 3).astype(int)
    assert found.shape == want.shape
    assert numpy.abs(found - want).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (28, 28), (40, 13), (64, 64), (100, 70)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_gives_the_bytes_of_pillow(tmp_path, size, channels):
    image = Image.fromarray(RNG.integers(0, 256, (37, 53, channels), dtype="uint8").squeeze())
    path = save(tmp_path / "a.png", image)
    want = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    numpy.testing.assert_array_equal(pixels(path, channels, size), numpy.asarray(want))


def test_truncated_jpegs_are_errors(tmp_path):
    out = io.BytesIO()
    Image.fromarray(smooth(40, 40, 3)).save(out, "JPEG")
    whole, path = out.getvalue(), tmp_path / "a.jpg"
    for size in [*range(0, 40), *range(40, len(whole) - 2, 17)]:
        path.write_bytes(whole[:size])
        assert isinstance(pixels(path, 3), str), size


def test_absurd_headers_are_errors(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(60000, 60000, 8, 2, b"\0"))
    assert pixels(path, 3) == "the PNG says that it has 60000 x 60000 pixels; at most 16777216 pixels are accepted"
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60000, 60000)
    path.write_bytes(data)
    assert "60000 x 60000 pixels" in pixels(path, 3)


def test_other_formats_are_named(tmp_path):
    for name in ["GIF", "BMP", "TIFF", *(["WEBP"] if features.check("webp") else [])]:
        path = tmp_path / "a"
        Image.new("RGB", (4, 4)).save(path, name)
        assert name.lower() in pixels(path, 3).lower()
