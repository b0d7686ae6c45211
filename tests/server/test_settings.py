from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "AGORA_HOME", "AGORA_SECRET_KEY", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


class TestSettings:
    def test_without_an_environment_are_those_of_a_developer(self) -> None:
        settings = Settings()
        assert (settings.url, settings.environment) == ("http://127.0.0.1:8000", "development")
        assert settings.home == Path.home() / ".local/share/agora"
        assert (settings.database_url, settings.redis_url) == ("", "")
        assert all(settings.allows(feature) for feature in ("introspection", "explorer", "demo"))

    def test_close_in_production_what_helps_developers_unless_asked_for(self) -> None:
        settings = Settings(environment="production", introspection=True)
        assert settings.allows("introspection")
        assert not settings.allows("explorer")
        assert not settings.allows("demo")

    def test_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://shop@db/agora")
        monkeypatch.setenv("AGORA_ALLOWED_ORIGINS", "https://a.example, https://b.example")
        monkeypatch.setenv("AGORA_PORT", "8001")
        settings = Settings()
        assert settings.database_url == "postgresql://shop@db/agora"
        assert settings.allowed_origins == ("https://a.example", "https://b.example")
        assert settings.port == 8001

    def test_refuse_a_list_of_breached_passwords_that_is_not_there(self, tmp_path: Path) -> None:
        for wrong in (tmp_path / "none", tmp_path):
            with pytest.raises(ValidationError, match="is no file"):
                Settings(breached_passwords=wrong)
        (tmp_path / "list").write_text("0" * 40)
        assert Settings(breached_passwords=tmp_path / "list").breached_passwords == tmp_path / "list"

    def test_of_the_command_line_win(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGORA_PORT", "8001")
        assert Settings(port=8002).port == 8002

    def test_reach_a_child_process_through_its_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        chosen = Settings(home=tmp_path, worker=False, allowed_origins=("https://a.example",), deadline_seconds=2.5)
        chosen = chosen.with_engines("postgresql://db/agora", "redis://cache")
        for name, value in chosen.as_environment().items():
            monkeypatch.setenv(name, value)
        assert Settings() == chosen

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("redis_url", "http://cache"),
            ("database_url", "mysql://db"),
            ("meilisearch_url", "search:7700"),
            ("secret_key", "short"),
        ],
    )
    def test_refuse_a_value_that_cannot_work(self, name: str, value: str) -> None:
        with pytest.raises(ValidationError, match="must"):
            Settings(**{name: value})

    def test_do_not_show_secrets(self) -> None:
        settings = Settings(
            secret_key="k" * 40, database_url="postgresql://u:hidden@db/agora", meilisearch_key="hidden"
        )
        assert "hidden" not in repr(settings)
        assert "kkkk" not in repr(settings)


class TestDeriveKey:
    def test_gives_each_purpose_a_key_of_its_own_and_always_the_same(self, tmp_path: Path) -> None:
        first, again = Settings(home=tmp_path / "home"), Settings(home=tmp_path / "home")
        assert first.derive_key("tokens") == again.derive_key("tokens")
        assert first.derive_key("tokens") != first.derive_key("encryption")
        assert len(first.derive_key("tokens", 64)) == 64

    def test_keeps_the_generated_secret_private(self, tmp_path: Path) -> None:
        Settings(home=tmp_path).derive_key("tokens")
        assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]

    def test_makes_no_file_when_a_secret_is_given(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path, secret_key="s" * 32)
        assert settings.derive_key("tokens") == Settings(home=tmp_path / "other", secret_key="s" * 32).derive_key(
            "tokens"
        )
        assert list(tmp_path.iterdir()) == []
