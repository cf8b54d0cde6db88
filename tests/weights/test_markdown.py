"""The pages made from the catalogue are up to date, and what they say of the training can be true."""

from pathlib import Path

from weights import markdown
from weights.catalogue import EMBEDDED, OTHER_NETWORKS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_pages_are_up_to_date(capsys):
    assert markdown.main(["--check"]) == 0, f"run python -m weights.markdown: {capsys.readouterr().out}"


def test_a_stale_page_is_noticed_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(markdown, "DOCS", tmp_path)
    (tmp_path / "provenance.md").write_text(f"before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n")
    assert markdown.main(["--check"]) == 1
    assert not (tmp_path / "weights.md").exists()
    assert markdown.main([]) == 0 and markdown.main(["--check"]) == 0
    page = (tmp_path / "provenance.md").read_text()
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "\nold\n" not in page
    assert all(f"`{entry.name}`" in page for entry in EMBEDDED)


def test_networks_of_the_training_are_known_and_no_network_trained_itself():
    names = {entry.name for entry in EMBEDDED}
    for entry in EMBEDDED:
        unknown = set(entry.trained_with) - names - set(OTHER_NETWORKS)
        assert not unknown, f"{entry.name} names {unknown}"
        assert entry.name not in entry.trained_with
    used = {network for entry in EMBEDDED for network in entry.trained_with}
    assert set(OTHER_NETWORKS) <= used


def test_every_weights_folder_is_licensed_in_its_card_as_in_the_catalogue():
    for entry in EMBEDDED:
        card = (entry.path.parent / "README.md").read_text()
        assert entry.licence in card, f"{entry.name}: its card names no {entry.licence}"
