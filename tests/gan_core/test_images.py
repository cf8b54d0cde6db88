"""Every bad or unusual picture of the list gives the right pixels or a sentence, never another exception."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageDraw

from gan_core.errors import BadImage
from gan_core.images import held_bytes, open_image, resize_within, save_png, to_pil, to_tensor

COLOURS = {"left": (200, 40, 40), "right": (40, 40, 200)}


@pytest.fixture
def two_colours():
    """Left half red, right half blue: shows rotation, colour and scaling faults at once."""
    picture = Image.new("RGB", (96, 64), COLOURS["left"])
    ImageDraw.Draw(picture).rectangle((48, 0, 96, 64), fill=COLOURS["right"])
    return picture


def encode(picture, format, **options):
    stream = io.BytesIO()
    picture.save(stream, format=format, **options)
    return stream.getvalue()


def assert_two_colours(picture, tolerance=3):
    assert picture.mode == "RGB" and picture.size == (96, 64)
    assert picture.info == {}
    assert np.abs(np.subtract(picture.getpixel((12, 32)), COLOURS["left"])).max() <= tolerance
    assert np.abs(np.subtract(picture.getpixel((84, 32)), COLOURS["right"])).max() <= tolerance


def png_header(width, height):
    """A PNG that promises a size and holds no pixels to speak of."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_common_formats(two_colours, format, tmp_path):
    options = {"quality": 95} if format in ("JPEG", "WEBP") else {}
    data = encode(two_colours, format, **options)
    assert_two_colours(open_image(data), tolerance=8)
    path = tmp_path / "picture.anything"
    path.write_bytes(data)
    assert_two_colours(open_image(path), tolerance=8)
    assert_two_colours(open_image(str(path)), tolerance=8)


def test_pillow_picture_is_not_changed(two_colours):
    alpha = two_colours.convert("RGBA")
    assert_two_colours(open_image(alpha))
    assert alpha.mode == "RGBA"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"just text, nothing else",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
        b"GIF89a" + b"\0" * 20,
        bytes(range(256)) * 20,
    ],
)
def test_not_an_image(data):
    with pytest.raises(BadImage):
        open_image(data)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(BadImage, match="upload it again"):
        open_image(tmp_path / "gone.png")
    with pytest.raises(BadImage):
        open_image(tmp_path)


def test_heic_is_named_when_it_cannot_be_read():
    with pytest.raises(BadImage, match="HEIC"):
        open_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_truncated(format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8))
    data = encode(noise, format)
    with pytest.raises(BadImage):
        open_image(data[: len(data) // 2])


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 8)])
def test_too_small(size):
    with pytest.raises(BadImage, match=f"{size[0]} x {size[1]}"):
        open_image(encode(Image.new("RGB", size), "PNG"))


@pytest.mark.parametrize("size", [(10_000, 10_000), (13_000, 13_000), (60_000, 60_000), (20_000, 40)])
def test_too_large_is_refused_from_the_header(size):
    """The body holds no such pixels: had it been decoded, the message would be 'cut short'."""
    with pytest.raises(BadImage, match="too large"):
        open_image(png_header(*size))


def test_large_jpeg_is_read_smaller():
    data = encode(Image.new("RGB", (4000, 3000), (10, 200, 30)), "JPEG")
    picture = open_image(data, max_pixels=1_000_000)
    assert picture.size == (1000, 750)
    assert np.abs(np.subtract(picture.getpixel((500, 300)), (10, 200, 30))).max() < 6


def test_large_progressive_jpeg_is_refused():
    data = encode(Image.new("RGB", (4000, 3000)), "JPEG", progressive=True)
    with pytest.raises(BadImage, match="too large"):
        open_image(data, max_pixels=1_000_000)


def test_cmyk(two_colours):
    for format in ("JPEG", "TIFF"):
        options = {"quality": 95} if format == "JPEG" else {}
        assert_two_colours(open_image(encode(two_colours.convert("CMYK"), format, **options)), tolerance=12)


def test_sixteen_bit_and_float_keep_their_brightness():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    pictures = [
        encode(Image.fromarray(ramp.astype(np.uint16)), "PNG"),
        encode(Image.fromarray(ramp.astype(np.uint16)), "TIFF"),
        encode(Image.fromarray(ramp.astype(np.int32)), "TIFF"),
        encode(Image.fromarray((ramp / 65535).astype(np.float32)), "TIFF"),
        encode(Image.fromarray((ramp / 257).astype(np.float32)), "TIFF"),
    ]
    for data in pictures:
        values = np.asarray(open_image(data))[..., 0].astype(float)
        assert np.abs(values - ramp / 257).max() <= 1


def test_float_with_nan_and_infinity():
    values = np.full((64, 64), 0.5, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    assert open_image(encode(Image.fromarray(values), "TIFF")).getpixel((30, 30)) == (128, 128, 128)


def test_palette_bilevel_and_grey(two_colours):
    assert_two_colours(open_image(encode(two_colours.quantize(8), "PNG")))
    grey = open_image(encode(two_colours.convert("L"), "PNG"))
    assert grey.mode == "RGB" and len(set(grey.getpixel((5, 5)))) == 1
    bilevel = open_image(encode(two_colours.convert("1"), "PNG"))
    assert bilevel.mode == "RGB"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_is_laid_on_white(mode):
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    ImageDraw.Draw(picture).rectangle((0, 0, 31, 63), fill=(0, 0, 0, 0))
    data = encode(picture.convert(mode) if mode != "P" else picture.quantize(4), "PNG")
    result = open_image(data)
    assert result.getpixel((5, 5)) == (255, 255, 255)
    assert result.getpixel((60, 5)) == (0, 0, 0)


def test_colour_key_transparency():
    picture = Image.new("RGB", (64, 64), (0, 255, 0))
    ImageDraw.Draw(picture).rectangle((32, 0, 63, 63), fill=(9, 9, 9))
    result = open_image(encode(picture, "PNG", transparency=(0, 255, 0)))
    assert result.getpixel((5, 5)) == (255, 255, 255) and result.getpixel((60, 5)) == (9, 9, 9)


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    for format in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
        red, green, _ = open_image(data).getpixel((32, 32))
        assert red > 240 and green < 20, format


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(two_colours, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = two_colours.transpose(undo[orientation]) if orientation > 1 else two_colours
    exif = Image.Exif()
    exif[274] = orientation
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        options = {"quality": 95} if format in ("JPEG", "WEBP") else {}
        assert_two_colours(open_image(encode(stored, format, exif=exif, **options)), tolerance=8)


def test_broken_exif_does_not_cost_the_picture(two_colours):
    data = encode(two_colours, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f broken")
    assert_two_colours(open_image(data), tolerance=8)


def test_colour_profile(two_colours):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_two_colours(open_image(encode(two_colours, "PNG", icc_profile=srgb)))
    assert_two_colours(open_image(encode(two_colours, "PNG", icc_profile=b"no profile at all")))


def test_tensor_round_trip(two_colours):
    tensor = to_tensor(two_colours)
    assert tensor.shape == (1, 3, 64, 96) and tensor.dtype == torch.float32
    assert tensor.min() >= -1 and tensor.max() <= 1
    assert np.array_equal(np.asarray(to_pil(tensor)), np.asarray(two_colours))
    assert to_pil(torch.full((3, 2, 2), 7.0)).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(ValueError):
        to_pil(torch.zeros(2, 3, 4, 4))


def test_resize_within():
    assert resize_within(Image.new("RGB", (400, 100)), 200).size == (200, 50)
    small = Image.new("RGB", (100, 50))
    assert resize_within(small, 200) is small
    assert resize_within(Image.new("RGB", (10_000, 2)), 100).size == (100, 1)


def test_saved_png_is_marked_and_carries_nothing_else(two_colours, tmp_path):
    exif = Image.Exif()
    exif[271] = "SecretCamera"
    gps = exif.get_ifd(0x8825)
    gps[1] = "N"
    source = Image.open(io.BytesIO(encode(two_colours, "JPEG", exif=exif, quality=95, comment=b"SecretNote")))
    source.load()
    path = save_png(source, tmp_path / "out.png", "edited with HFGI: smile +2 & <age>")
    data = path.read_bytes()
    assert b"Secret" not in data and b"eXIf" not in data and b"iCCP" not in data
    with Image.open(path) as saved:
        saved.load()
        assert saved.text["Software"] == "GAN Studio"
        assert saved.text["Description"] == "edited with HFGI: smile +2 & <age>"
        xmp = saved.text["XML:com.adobe.xmp"]
    assert "compositeWithTrainedAlgorithmicMedia" in xmp and "&lt;age&gt;" in xmp
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.png"]


def test_failed_save_leaves_nothing(two_colours, tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError):
        save_png(two_colours, tmp_path / "out.png", "edited")
    assert list(tmp_path.iterdir()) == []


def test_memory_of_pictures_is_counted_as_pillow_takes_it():
    colour, grey = Image.new("RGB", (100, 50)), Image.new("L", (100, 50))
    assert held_bytes(colour) == 20_000 and held_bytes(grey) == 5_000  # four bytes a pixel of three colours
    assert held_bytes(colour, grey, colour) == 25_000
