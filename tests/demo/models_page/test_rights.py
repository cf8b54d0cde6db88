"""Who may change the models of a machine."""

from __future__ import annotations

import pytest

from demo import settings
from demo.models_page.rights import NotAllowed, check, is_loopback, rights_of

LOCAL = {"host": "127.0.0.1:7860"}


def rights(*flags: str, **environment: str):
    return rights_of(settings.read(flags, environment), environment)


def test_the_owner_may_do_everything() -> None:
    for flags in ((), ("--host", "localhost"), ("--host", "::1")):
        owner = rights(*flags)
        assert owner.change and owner.name_paths and not owner.why
        check(owner, "127.0.0.1", LOCAL, path=True)
        check(owner, "::1", {"host": "[::1]:7860"})


@pytest.mark.parametrize("flags", [("--share", "--public"), ("--host", "0.0.0.0"), ("--host", "192.168.0.5")])
def test_a_public_app_only_lists(flags) -> None:
    nobody = rights(*flags)
    assert not nobody.change and not nobody.name_paths and "--auth" in nobody.why
    with pytest.raises(NotAllowed, match="runs for its owner"):
        check(nobody, "127.0.0.1", LOCAL)


def test_a_space_needs_a_password_even_if_it_says_loopback() -> None:
    assert not rights("--host", "127.0.0.1", SPACE_ID="me/studio").change
    signed_in = rights(SPACE_ID="me/studio", STUDIO_AUTH="me:secret")
    assert signed_in.change and not signed_in.name_paths
    check(signed_in, "10.0.0.9", {"host": "me-studio.hf.space", "x-forwarded-for": "1.2.3.4"})
    with pytest.raises(NotAllowed, match="127"):
        check(signed_in, "10.0.0.9", {"host": "me-studio.hf.space"}, path=True)


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("192.168.0.7", LOCAL),
        ("127.0.0.1", {**LOCAL, "x-forwarded-for": "1.2.3.4"}),  # behind a proxy on the same machine
        ("127.0.0.1", {"host": "evil.example:7860"}),  # a name of another site that points here
    ],
)
def test_a_request_from_elsewhere_is_not_the_owners(client, headers) -> None:
    with pytest.raises(NotAllowed, match="only from the machine"):
        check(rights(), client, headers)
    with pytest.raises(NotAllowed, match="only from the machine"):
        check(rights("--auth", "me:secret"), client, headers, path=True)


def test_loopback() -> None:
    assert is_loopback("127.8.8.8") and not is_loopback("localhost.example") and not is_loopback("")
