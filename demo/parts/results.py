"""Writing results: pictures and videos that say how they were made."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from demo import credentials, provenance
from demo.session import Session
from gan_core.images import save_png


def save_result(session: Session, picture: Image.Image, note: str, purpose: str) -> Path:
    """Write a picture as a PNG whose metadata says what was done (`note`), signed where that is possible; the path
    lives as long as the session.

    purpose: beginning of the file's name; of one purpose only the last few are kept. Raises Cancelled when the visitor
    has left.
    """
    path = save_png(picture, session.new_file(purpose, ".png"), note)
    sign_result(path, note)
    return path


def sign_result(path: Path, note: str) -> None:
    """Sign a finished file, made from the uploads that this request has read (`demo.credentials`)."""
    credentials.sign(path, note, provenance.uploads())
