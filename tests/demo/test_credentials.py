"""Content Credentials on results, read back by c2pa's own reader."""

from __future__ import annotations

import io
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import c2pa
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from demo import credentials, provenance, turns
from demo.credentials import BadCertificate
from demo.session import Sessions
from gan_core.images import save_png
from tests.demo import fakes

NOTE = "edited with GAN Studio, a test"


def manifest(path) -> tuple[dict, dict]:
    """(active manifest, all manifests) of a file whose signature holds."""
    with c2pa.Reader(str(path)) as reader:
        assert reader.get_validation_state() in ("Valid", "Trusted")
        found = json.loads(reader.json())
    return found["manifests"][found["active_manifest"]], found["manifests"]


def actions(one: dict) -> list[dict]:
    (assertion,) = (a for a in one["assertions"] if a["label"].startswith("c2pa.actions"))
    return assertion["data"]["actions"]


@pytest.fixture
def result(tmp_path):
    return save_png(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), tmp_path / "r.png", NOTE
    )


def test_a_result_made_from_nothing(result) -> None:
    before = np.asarray(Image.open(result))
    credentials.sign(result, NOTE)
    one, everything = manifest(result)
    assert len(everything) == 1 and "ingredients" not in one and "thumbnail" not in one
    (action,) = actions(one)
    assert action["action"] == "c2pa.created" and action["description"] == NOTE
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    with Image.open(result) as saved:
        assert saved.text["Description"] == NOTE and np.array_equal(np.asarray(saved), before)
    assert [path.name for path in result.parent.iterdir()] == ["r.png"]


def test_an_uploads_credentials_stay_readable(result, tmp_path) -> None:
    upload = save_png(Image.new("RGB", (40, 40), "red"), tmp_path / "the name of my daughter.png", "a camera")
    credentials.sign(upload, "taken with a camera")
    theirs, _ = manifest(upload)
    plain = tmp_path / "plain.jpg"
    Image.new("RGB", (50, 50), "green").save(plain)
    credentials.sign(result, NOTE, [upload, plain, tmp_path / "gone.png"])
    one, everything = manifest(result)
    first, second = one["ingredients"]
    assert (first["relationship"], second["relationship"]) == ("parentOf", "componentOf")
    assert everything[first["active_manifest"]]["assertions"] == theirs["assertions"]
    assert "active_manifest" not in second and not any("thumbnail" in ingredient for ingredient in (first, second))
    opened, edited = actions(one)
    assert opened["action"] == "c2pa.opened" and edited["action"] == "c2pa.edited"
    assert edited["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert b"daughter" not in result.read_bytes()


def test_nothing_is_fetched_from_where_an_upload_says_its_credentials_lie(result, tmp_path) -> None:
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 (http.server's name)
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_arguments) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/manifest.c2pa"
        upload = tmp_path / "upload.jpg"
        xmp = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"/>'
            "</rdf:RDF></x:xmpmeta>"
        )
        Image.new("RGB", (50, 50), "green").save(upload, xmp=xmp.encode())
        credentials.sign(result, NOTE, [upload])
        server.shutdown()
    assert asked == []
    assert actions(manifest(result)[0])[-1]["description"] == NOTE


def test_videos_are_signed(tmp_path) -> None:
    from gan_core.video.loops import write_loop

    path = write_loop(
        [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")], tmp_path / "loop.mp4", rate=8, note=NOTE
    )
    credentials.sign(path, NOTE)
    assert actions(manifest(path)[0])[0]["description"] == NOTE


def test_what_cannot_be_signed_stays(tmp_path, caplog) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    with caplog.at_level(logging.ERROR):
        credentials.sign(path, NOTE)
    assert path.read_bytes() == b"no picture" and "not signed" in caplog.text
    assert [found.name for found in tmp_path.iterdir()] == ["broken.png"]


def test_the_hosts_own_certificate(result, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(credentials, "_identity", None)
    own = credentials.make_identity()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text(own.certificates)
    key.write_text(own.key)
    credentials.use(chain, key)
    credentials.sign(result, NOTE)
    with c2pa.Reader(str(result)) as reader:
        serial = json.loads(reader.json())["manifests"][reader.get_active_manifest()["label"]]["signature_info"]
    from cryptography import x509

    assert (
        int(serial["cert_serial_number"]) == x509.load_pem_x509_certificates(own.certificates.encode())[0].serial_number
    )
    for wrong in (tmp_path / "missing.pem", result):
        with pytest.raises(BadCertificate, match=wrong.name):
            credentials.use(wrong, key)


def test_what_is_kept_remembers_what_it_was_made_from(tmp_path) -> None:
    line, sessions = turns.Line(), Sessions(tmp_path)
    session = sessions.get("a")
    upload = tmp_path / "x" / "photo.jpg"
    with line.join("a", "first") as request, turns.current(request):
        session.own_upload(upload)
        session.keep("made", "of it", 1)
        assert provenance.uploads() == (upload,)
    with line.join("a", "second") as request, turns.current(request):
        assert provenance.uploads() == ()
        assert session.recall("made") == "of it"
        assert provenance.uploads() == (upload,)
    assert provenance.uploads() == ()


def test_through_the_api(fake_server, tmp_path) -> None:
    client = Client(fake_server.url, download_files=str(tmp_path / "downloads"), verbose=False, analytics_enabled=False)
    buffer = io.BytesIO()
    fakes.draw_photo().save(buffer, format="PNG")
    photo = tmp_path / "photo.png"
    photo.write_bytes(buffer.getvalue())
    credentials.sign(photo, "taken with a camera")
    edited, _ = client.predict(handle_file(str(photo)), "smile", 1, True, api_name="/hfgi_edit")
    one, everything = manifest(edited)
    (ingredient,) = one["ingredients"]
    assert actions(everything[ingredient["active_manifest"]])[0]["description"] == "taken with a camera"
    assert "smile +1" in actions(one)[-1]["description"]
