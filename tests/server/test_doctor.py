from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from data.embedded import Endpoints
from data.embedded.engines import Engines
from data.migrations import upgrade
from server.doctor import examine
from server.misconfiguration import Finding, Verdict, listed, misconfigurations
from server.settings import Settings


@pytest.fixture(scope="module")
def database_url(engines: Endpoints) -> str:
    """A database that no other test has left anything in."""
    with psycopg.connect(engines.database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE examined")
    url = engines.database_url.replace("/agora?", "/examined?")
    upgrade(url)
    return url


@pytest.fixture
def sound(tmp_path: Path, engines: Endpoints, database_url: str) -> Settings:
    return Settings(home=tmp_path).with_engines(database_url, engines.redis_url)


def of_part(settings: Settings, part: str) -> list[Finding]:
    return [finding for finding in examine(settings) if finding.part == part]


def warnings(settings: Settings, **environment: str) -> list[str]:
    return [
        finding.detail for finding in misconfigurations(settings, environment) if finding.verdict is Verdict.WARNING
    ]


@pytest.fixture
def unforced_table(database_url: str) -> Iterator[str]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.leaky (tenant_id uuid)")
        yield "leaky"
        connection.execute("DROP TABLE public.leaky")


class TestProvidersOfLogIns:
    def errors(self, **given: Any) -> list[str]:
        found = misconfigurations(Settings(**given), {})
        return [each.detail for each in found if each.verdict is Verdict.ERROR]

    def test_need_their_secrets(self) -> None:
        assert self.errors(google_client_id="g") == [
            "AGORA_GOOGLE_CLIENT_ID needs AGORA_GOOGLE_CLIENT_SECRET beside it"
        ]
        (found,) = self.errors(apple_client_id="a", apple_team_id="t")
        assert found == "AGORA_APPLE_CLIENT_ID needs AGORA_APPLE_KEY_ID, AGORA_APPLE_PRIVATE_KEY beside it"
        assert self.errors(google_client_id="g", google_client_secret="s") == []

    def test_need_a_way_back_and_https_in_production(self) -> None:
        plain = {"name": "id", "title": "I", "issuer": "http://id.example", "client_id": "a", "client_secret": "b"}
        assert self.errors(environment="production", oidc_providers=[plain]) == [
            "AGORA_LOGIN_REDIRECT_URIS is unset: no log-in by a provider comes back anywhere",
            "the issuer of id in AGORA_OIDC_PROVIDERS is not https",
        ]
        assert self.errors(oidc_providers=[plain]) == []


class TestDoctor:
    def test_finds_nothing_wrong_with_migrated_engines(self, sound: Settings) -> None:
        findings = {finding.part: finding for finding in examine(sound)}
        assert {finding.verdict for finding in findings.values()} <= {Verdict.OK, Verdict.NOTE, Verdict.WARNING}
        assert findings["migrations"] == Finding("migrations", Verdict.OK, "none pending")
        assert findings["postgresql"].detail.startswith("version 18")

    def test_sees_a_tenants_table_without_forced_row_security(self, sound: Settings, unforced_table: str) -> None:
        expected = Finding("isolation", Verdict.ERROR, f"row security is not forced on {unforced_table}")
        assert expected in of_part(sound, "isolation")

    def test_sees_an_eviction_policy_that_loses_events(self, sound: Settings) -> None:
        with redis.from_url(sound.redis_url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            try:
                (finding,) = [each for each in of_part(sound, "valkey") if each.verdict is Verdict.ERROR]
            finally:
                client.config_set("maxmemory-policy", "noeviction")
        assert finding.detail == "maxmemory-policy allkeys-lru may evict undelivered events; set noeviction"

    def test_reports_servers_that_do_not_answer_and_goes_on(self, sound: Settings) -> None:
        settings = sound.with_engines(
            "postgresql://127.0.0.1:1/agora", "redis://127.0.0.1:1", meilisearch_url="http://127.0.0.1:1"
        )
        errors = {finding.part for finding in examine(settings) if finding.verdict is Verdict.ERROR}
        assert errors == {"postgresql", "valkey", "search"}

    def test_makes_nothing_in_a_home_that_is_not_there(self, tmp_path: Path) -> None:
        findings = list(examine(Settings(home=tmp_path / "home")))
        assert Finding("postgresql", Verdict.NOTE, "embedded; made on the first start of `agora serve`") in findings
        assert not (tmp_path / "home").exists()

    def test_looks_at_the_engines_of_a_running_home(self, tmp_path: Path) -> None:
        with Engines(tmp_path, durable=False) as running:
            assert Finding("valkey", Verdict.OK, f"embedded, run by process {running.pid}") in of_part(
                Settings(home=tmp_path), "valkey"
            )


class TestMisconfigurations:
    def test_are_none_by_default(self) -> None:
        assert (
            list(misconfigurations(Settings(), {"AGORA_PORT": "8000", "AGORA_DATABASE_URL": "x", "PATH": "/bin"})) == []
        )

    def test_include_misspelt_variables_and_relative_homes(self) -> None:
        assert warnings(Settings(), AGORA_PROT="1", AGORA_HOME="data") == [
            "AGORA_PROT is not a setting: misspelt?",
            "AGORA_HOME=data is relative: another working folder means other data",
        ]

    def test_include_in_production_what_belongs_to_development(self) -> None:
        settings = Settings(
            environment="production", explorer=True, log_level="debug", public_url="http://shop.example"
        )
        assert warnings(settings) == [
            "AGORA_EXPLORER is on in production",
            "AGORA_LOG_LEVEL=debug in production logs personal data",
            "AGORA_TRUSTED_DOCUMENTS is unset: production executes any document",
            "AGORA_SMTP_URL is unset: letters stay in the mailbox folder of the home",
            "AGORA_PUBLIC_URL is not https",
        ]


class TestListed:
    def test_names_every_setting_and_masks_secrets(self) -> None:
        settings = Settings(secret_key="k" * 40, database_url="postgresql://shop:hidden@db:5432/agora")
        shown = {setting["variable"]: setting["value"] for setting in listed(settings)}
        assert len(shown) == len(Settings.model_fields)
        assert shown["AGORA_SECRET_KEY"] == "***"
        assert shown["DATABASE_URL"] == "postgresql://***@db:5432/agora"

    def test_shows_of_providers_of_messages_only_what_helps(self) -> None:
        settings = Settings(smtp_url="smtp://shop:hidden@mail:587", sms_url="slack://hidden/hidden/hidden")
        shown = {setting["variable"]: setting["value"] for setting in listed(settings)}
        assert (shown["AGORA_SMTP_URL"], shown["AGORA_SMS_URL"]) == ("smtp://***@mail:587", "slack://***")
