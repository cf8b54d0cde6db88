"""The metadata by which a result says that a model had a part in it: XMP with the IPTC digital source type."""

from __future__ import annotations

import io
from xml.sax.saxutils import escape

from PIL import Image

SOFTWARE = "GAN Studio"
_DIGITAL_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def xmp(note: str) -> str:
    """An XMP packet. note: what was done."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmp:CreatorTool="{SOFTWARE}" Iptc4xmpExt:DigitalSourceType="{_DIGITAL_SOURCE}">'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(note)}</rdf:li></rdf:Alt>'
        "</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    )


def jpeg(picture: Image.Image, note: str | None, quality: int = 85) -> bytes:
    """A picture as a JPEG without the metadata that it came with. note: what was done to it, for its XMP and comment;
    None where nothing was."""
    stream, clean = io.BytesIO(), picture.copy()
    clean.info = {}
    marks = {} if note is None else {"xmp": xmp(note).encode(), "comment": note.encode()}
    clean.save(stream, "JPEG", quality=quality, **marks)
    return stream.getvalue()
