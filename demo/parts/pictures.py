"""Pictures on their way to the page: written into the visitor's own folder, so that they go when he goes."""

from __future__ import annotations

from PIL import Image

from demo.session import Session


def shown(session: Session, purpose: str, picture: Image.Image, *, exact: bool = False) -> str:
    """The path of a file of this picture for the page: JPEG, or lossless with `exact`. No metadata."""
    path = session.new_file(purpose, ".png" if exact else ".jpg")
    clean = picture.copy()
    clean.info = {}
    if exact:
        clean.save(path, compress_level=1)
    else:
        clean.save(path, quality=92, subsampling=0)
    return str(path)
