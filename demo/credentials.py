"""C2PA Content Credentials on results, where the package c2pa-python is installed: signed words on how a picture was
made, which picture viewers can show. Uploads that carry credentials of their own stay readable in them, as ingredients.

Without a certificate of the host's, one is made at start that is valid for this run only; viewers then say that the
signer is not known to them. Specification: C2PA 2.1, sections 10 (claims), 13.2 (certificates) and 18 (assertions).
"""

from __future__ import annotations

import datetime
import json
import logging
import mimetypes
import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan_core.errors import StudioError

logger = logging.getLogger(__name__)

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # IPTC's names, not addresses that anybody asks
_MOST_INGREDIENTS = 16
_DAYS = 30  # that a certificate of our own is valid
_SETTINGS = {
    # Of an upload's credentials nothing is fetched from where they say they lie.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    # A small picture of the upload, unedited, is not what a visitor wants to hand on in a result.
    "builder": {"thumbnail": {"enabled": False}},
}


class BadCertificate(StudioError):
    """The host's certificate or key cannot be used for signing."""


@dataclass(frozen=True)
class Identity:
    """Who signs: PEM texts, the certificates from the signer's own up to the authority's."""

    certificates: str
    key: str


_identity: Identity | None = None
_lock = threading.Lock()


def available() -> bool:
    """Whether results can be signed here."""
    return find_spec("c2pa") is not None


def use(certificates: Path, key: Path) -> None:
    """Sign with the host's certificate chain and its private key (PEM files, P-256).

    Raises BadCertificate where they are missing, cannot be read or do not fit, or c2pa-python is not installed.
    """
    global _identity
    if not available():
        raise BadCertificate("Signing results needs the package c2pa-python: pip install gan-studio[host].")
    try:
        identity = Identity(certificates.read_text(), key.read_text())
        _signer(identity)
    except Exception as error:  # any: whatever c2pa says of a wrong file
        raise BadCertificate(f"Results cannot be signed with {certificates.name} and {key.name}: {error}") from error
    _identity = identity


def sign(path: Path, note: str, uploads: Sequence[Path] = ()) -> None:
    """Put credentials into a finished result, in place; without c2pa-python nothing happens.

    note: what was done. uploads: pictures that it was made from; those with credentials keep them inside. A result that
    cannot be signed stays as it is, which is logged.
    """
    if not available():
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=f".part{path.suffix}")
    os.close(handle)
    try:
        _write(path, Path(temporary), note, uploads)
        os.replace(temporary, path)
    except Exception:  # any: a result without credentials is better than none
        logger.exception("a result was not signed")
        Path(temporary).unlink(missing_ok=True)


def _write(path: Path, target: Path, note: str, uploads: Sequence[Path]) -> None:
    import c2pa

    there = [upload for upload in uploads if upload.is_file()][:_MOST_INGREDIENTS]
    context = c2pa.Context.from_dict(_SETTINGS)
    with c2pa.Builder(json.dumps(_manifest(note, len(there))), context=context) as builder:
        for number, upload in enumerate(there):
            kind = mimetypes.guess_type(upload.name)[0] or "image/jpeg"
            ingredient = {"title": f"upload {number + 1}", "relationship": _relationship(number)}
            with upload.open("rb") as stream:
                try:
                    builder.add_ingredient({**ingredient, "label": f"upload-{number}"}, kind, stream)
                except c2pa.C2paError:
                    logger.info("an upload of type %s is not named in the result's credentials", kind)
        with _signer(_own_identity()) as signer, path.open("rb") as source, target.open("w+b") as result:
            builder.sign(signer, mimetypes.guess_type(path.name)[0], source, result)


def _relationship(number: int) -> str:
    """The first picture is what was edited; others went into it."""
    return "parentOf" if number == 0 else "componentOf"


def _manifest(note: str, uploads: int) -> dict[str, Any]:
    """What is signed. Nothing in it says who the visitor is or what their file was called."""
    made = "compositeWithTrainedAlgorithmicMedia" if uploads else "trainedAlgorithmicMedia"
    first = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["upload-0"]}} if uploads else None
    done = {
        "action": "c2pa.edited" if uploads else "c2pa.created",
        "digitalSourceType": _SOURCE_TYPES + made,
        "description": note,
    }
    return {
        "claim_generator_info": [{"name": "GAN Studio"}],
        "title": "result",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action for action in (first, done) if action]}}
        ],
    }


def _signer(identity: Identity) -> Any:
    import c2pa

    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, identity.certificates.encode(), identity.key.encode(), None)
    )


def _own_identity() -> Identity:
    global _identity
    with _lock:
        if _identity is None:
            _identity = make_identity()
        return _identity


def make_identity() -> Identity:
    """A new authority and a signer that it vouches for. Needs the package cryptography, which c2pa-python brings."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(words: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, words),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "GAN Studio"),
            ]
        )

    def certificate(subject: str, key: Any, issuer: str, issuers_key: Any, authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=_DAYS))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers_key.public_key()), critical=False)
        )
        if not authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        return builder.sign(issuers_key, hashes.SHA256())

    def text(one: x509.Certificate) -> str:
        return one.public_bytes(serialization.Encoding.PEM).decode()

    authority_key, signer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate("GAN Studio, this run's authority", authority_key, "GAN Studio, this run's authority",
                            authority_key, True)  # fmt: skip
    signer = certificate("GAN Studio, this run", signer_key, "GAN Studio, this run's authority", authority_key, False)
    key = signer_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(text(signer) + text(authority), key.decode())
