"""Several pictures: what is taken, what is refused in a sentence, and that nothing large is unpacked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from gan_core import picture_sets
from gan_core.errors import BadImage, BadValue
from gan_core.picture_sets import picture_set, result_names


def jpeg() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(content, "JPEG")
    return content.getvalue()


def archive(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def test_pictures_of_files_folders_and_archives(tmp_path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/b.PNG", "in/deep/a.jpg"):
        (tmp_path / name).write_bytes(jpeg())
    (tmp_path / "in" / "notes.txt").write_text("hello")
    (tmp_path / "in" / "link.jpg").symlink_to("/etc/hostname")
    packed = archive(
        tmp_path / "trip.zip",
        {"sea/one.jpg": jpeg(), "sea/": b"", "read me.txt": b"", "__MACOSX/._one.jpg": b"", "inner.zip": b"PK"},
    )
    found = picture_set([tmp_path / "in", packed])
    assert [picture.name for picture in found.pictures] == ["b.PNG", "deep/a.jpg", "sea/one.jpg"]
    assert dict(found.refused) == {
        "notes.txt": "This is not a picture.",
        "read me.txt": "This is not a picture.",
        "inner.zip": "An archive inside an archive is not opened.",
    }
    assert all(picture.read() == jpeg() for picture in found.pictures)
    assert picture_set([packed]).name == "trip" and found.name == "b and others"


def test_names_cannot_leave_the_archive(tmp_path) -> None:
    packed = archive(tmp_path / "a.zip", {"../../etc/one.jpg": jpeg(), "/root/two.jpg": jpeg()})
    assert [picture.name for picture in picture_set([packed]).pictures] == ["etc/one.jpg", "root/two.jpg"]
    assert result_names(["a/x.jpg", "a/x.png", "A/X.webp", "y"]) == ["a/x.png", "a/x-2.png", "A/X-3.png", "y.png"]


def test_too_many_and_none(tmp_path) -> None:
    many = archive(tmp_path / "many.zip", {f"{i}.jpg": b"" for i in range(1000)})
    with pytest.raises(BadValue, match="At most 200 pictures"):
        picture_set([many])
    texts = archive(tmp_path / "texts.zip", {f"{i}.txt": b"" for i in range(2001)})
    with pytest.raises(BadValue, match="has 2,001 files"):
        picture_set([texts])
    with pytest.raises(BadValue, match="no picture among these files"):
        picture_set([archive(tmp_path / "few.zip", {"a.txt": b"hello"})])


def test_a_bomb_is_refused_by_its_header_and_by_its_contents(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(picture_sets, "LARGEST_PICTURE", 1 << 20)
    monkeypatch.setattr(picture_sets, "LARGEST_SET", 3 << 20)
    zeros = bytes(2 << 20)
    bomb = archive(tmp_path / "bomb.zip", {"a.jpg": zeros, "b.jpg": zeros})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(BadValue, match="would unpack to more than"):
        picture_set([bomb])
    one = archive(tmp_path / "one.zip", {"a.jpg": zeros, "good.jpg": jpeg()})
    assert dict(picture_set([one]).refused)["a.jpg"].startswith("The picture has more than")
    # The header says 10 bytes: in the local entry, and in the list at the end.
    size = (2 << 20).to_bytes(4, "little")
    one.write_bytes(one.read_bytes().replace(size, (10).to_bytes(4, "little")))
    liar = picture_set([one]).pictures[0]
    with pytest.raises(BadImage):
        liar.read()


def test_damaged_and_locked_archives(tmp_path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(BadValue, match="damaged or no ZIP archive"):
        picture_set([tmp_path / "text.zip"])
    locked = archive(tmp_path / "locked.zip", {"a.jpg": jpeg()}, zipfile.ZIP_STORED)
    content = bytearray(locked.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption, in the list at the end
    locked.write_bytes(bytes(content))
    with pytest.raises(BadValue, match="has a password"):
        picture_set([locked])
    broken = archive(tmp_path / "broken.zip", {"a.jpg": jpeg()}, zipfile.ZIP_STORED)
    content = bytearray(broken.read_bytes())
    content[60] ^= 0xFF
    broken.write_bytes(bytes(content))
    with pytest.raises(BadImage, match="could not be read"):
        picture_set([broken]).pictures[0].read()
