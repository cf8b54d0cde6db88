import pytest

from demo import settings
from demo.turns import Limits


def read(*arguments, **environment):
    return settings.read(list(arguments), environment)


def test_defaults():
    found = read()
    assert (found.host, found.port, found.share, found.auth) == ("127.0.0.1", 7860, False, None)
    assert found.offline and found.preload and not found.zero_gpu
    assert found.memory is None and found.max_upload == 100_000_000


def test_flags_win_over_environment():
    assert read("--port", "9", STUDIO_PORT="8").port == 9
    assert read(STUDIO_PORT="8", GRADIO_SERVER_PORT="7").port == 8
    assert read(GRADIO_SERVER_PORT="7").port == 7
    assert read("--no-offline").offline is False
    assert read(STUDIO_OFFLINE="0").offline is False
    assert read("--offline", STUDIO_OFFLINE="0").offline is True


@pytest.mark.parametrize(("text", "size"), [("500M", 5e8), ("2g", 2e9), ("1.5GB", 1.5e9), ("1000", 1000)])
def test_sizes(text, size):
    assert read("--memory", text).memory == size
    assert read(STUDIO_MEMORY=text).memory == size


@pytest.mark.parametrize(
    "arguments", [("--memory", "much"), ("--memory", "0"), ("--auth", "me"), ("--port", "x"), ("--what",)]
)
def test_bad_flags_end_with_a_usage_line(arguments, capsys):
    with pytest.raises(SystemExit):
        read(*arguments)
    assert "usage: app.py" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        read("--help")
    text = capsys.readouterr().out
    assert end.value.code == 0
    for flag in ("--host", "--port", "--share", "--auth", "--device", "--memory", "--offline", "--weights"):
        assert flag in text


def test_password_is_never_shown():
    found = read("--auth", "ann:secret")
    assert found.auth == ("ann", "secret") and "secret" not in repr(found)


def test_a_space_listens_to_the_outside():
    assert read(SPACE_ID="a/b").host == "0.0.0.0"
    zero = read(SPACE_ID="a/b", SPACES_ZERO_GPU="true")
    assert zero.zero_gpu and zero.device == "cuda"


def test_export():
    environment = {}
    found = read("--offline")
    settings.export(found, environment)
    assert environment["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["GRADIO_TEMP_DIR"] == str(found.temporary)
    environment = {}
    settings.export(read("--no-offline"), environment)
    assert "HF_HUB_OFFLINE" not in environment


def test_a_public_link_needs_a_password_or_a_word(capsys):
    with pytest.raises(SystemExit):
        read("--share")
    assert "--auth" in capsys.readouterr().err
    assert read("--share", "--public").share
    assert read("--share", "--auth", "ann:secret").share
    assert read(STUDIO_SHARE="1", STUDIO_PUBLIC="1").share


def test_limits_of_the_line():
    assert read().limits == Limits()
    found = read("--requests", "8", "--requests-each", "2", "--patience", "20", "--requests-a-minute", "30").limits
    assert (found.requests, found.each, found.patience, found.a_minute) == (8, 2, 20.0, 30)
    assert read("--share", "--public").limits.a_minute == settings.SHARED_A_MINUTE
    with pytest.raises(SystemExit):
        read("--requests", "0")


def test_replicas_and_proxies():
    found = read("--executor", "ray", "--replicas", "1-4", "--replica-gpus", "0.5", "--root-path", "/studio")
    assert found.executor == "ray" and found.ray_address is None and found.root_path == "/studio"
    assert (found.scale.least, found.scale.most, found.scale.gpus) == (1, 4, 0.5)
    for wrong in ("0", "4-1", "two", "-1", "1-"):
        with pytest.raises(SystemExit):
            read(f"--replicas={wrong}")
    environment = {}
    settings.export(read("--proxies", "10.0.0.0/8"), environment)
    assert environment["FORWARDED_ALLOW_IPS"] == "10.0.0.0/8"


def test_a_certificate_is_two_files():
    chain, key = read("--certificate", "a/chain.pem:b/key.pem").certificate
    assert (chain.name, key.name) == ("chain.pem", "key.pem")
    with pytest.raises(SystemExit):
        read("--certificate", "chain.pem")
