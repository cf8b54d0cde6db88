"""Reading uploaded pictures."""

from __future__ import annotations

from pathlib import Path

from demo.session import Session
from gan_core.errors import BadImage

MAX_PIXELS = 24_000_000
"""Of an upload; a larger JPEG is read at a reduced scale."""


def read_upload(session: Session, path: str | None, what: str = "a picture") -> bytes:
    """The bytes of an upload, whose file is from now on deleted with the session.

    what: names the picture in the message if none was chosen. Raises BadImage.
    """
    if not path:
        raise BadImage(f"Please choose {what} first.")
    session.own_upload(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadImage("The picture is not there any more. Please upload it again.") from error
