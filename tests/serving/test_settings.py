"""Settings that would lose data are refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serving import settings
from serving.settings import Settings


@pytest.fixture
def bento(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The source folder of a Bento, which is also the working directory when it serves."""
    source = tmp_path / "nextwise" / "abc" / "src"
    source.mkdir(parents=True)
    (source.parent / "bento.yaml").touch()
    monkeypatch.setattr(settings, "ROOT", source)
    monkeypatch.chdir(source)
    return source


def test_a_bento_keeps_no_events_and_no_decisions(bento: Path) -> None:
    with pytest.raises(ValidationError, match="NEXTWISE_STORE and NEXTWISE_SPOOL would lie inside the Bento abc"):
        Settings()


def test_a_bento_serves_with_its_data_elsewhere(bento: Path, tmp_path: Path) -> None:
    assert Settings(store=f"sqlite:///{tmp_path}/events.db", spool=tmp_path / "spool").store.endswith("events.db")


def test_the_project_itself_may_keep_them(bento: Path) -> None:
    (bento.parent / "bento.yaml").unlink()
    assert Settings().store == "sqlite:///var/events.db"


def test_secrets_of_tokens_are_long_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEXTWISE_TOKEN_SECRET", "NEXTWISE_TOKEN_SECRET_BEFORE"):
        monkeypatch.setenv(name, "short-secret")
        with pytest.raises(ValidationError, match="at least 32 bytes") as refused:
            Settings()
        assert "short-secret" not in str(refused.value)
        monkeypatch.delenv(name)
    assert Settings().token_secrets == ()
    monkeypatch.setenv("NEXTWISE_TOKEN_SECRET_BEFORE", "o" * 32)
    assert Settings().token_secrets == ()  # nothing signs: the one before stands in for none
    monkeypatch.setenv("NEXTWISE_TOKEN_SECRET", "n" * 32)
    assert Settings().token_secrets == ("n" * 32, "o" * 32)
    assert "nnn" not in repr(Settings())


@pytest.mark.parametrize("url", ["https://learn.example", "http://localhost:3000", "https://learn.example:8443/next/wise"])
def test_the_public_address_is_where_browsers_reach_the_service(url: str) -> None:
    assert Settings(public_url=url).public_url == url


@pytest.mark.parametrize(
    "url",
    ["learn.example", "https://learn.example/", "https://a.example/?x=1", "javascript:alert(1)", "https://a b", "https://é"],
)
def test_what_is_no_address_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValidationError, match=r"is no address of a service: write scheme, host"):
        Settings(public_url=url)
