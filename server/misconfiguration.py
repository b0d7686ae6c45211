"""What the settings alone show: a list of all of them, and those that are unwise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from server.settings import PREFIX, SCHEMES, Settings, variable


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    part: str
    verdict: Verdict
    detail: str


def listed(settings: Settings) -> list[dict[str, str]]:
    """Every setting with its variable and whether it was set; secrets are masked."""
    return [
        {
            "variable": variable(name),
            "value": _shown(getattr(settings, name), secret=not field.repr),
            "from": "set" if name in settings.model_fields_set else "default",
            "meaning": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def misconfigurations(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What the settings alone show to be wrong or unwise."""
    known = {variable(name) for name in Settings.model_fields}
    known |= {"AGORA_DATABASE_URL", "AGORA_REDIS_URL", "AGORA_OTLP_ENDPOINT"}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            yield Finding("settings", Verdict.WARNING, f"{name} is not a setting: misspelt?")
    if (home := environment.get("AGORA_HOME", "")) and not Path(home).expanduser().is_absolute():
        yield Finding(
            "settings", Verdict.WARNING, f"AGORA_HOME={home} is relative: another working folder means other data"
        )
    yield from _providers(settings)
    if settings.production:
        yield from _unwise_in_production(settings)
        if settings.metrics_port is None and not settings.metrics_token:
            unread = "neither AGORA_METRICS_PORT nor AGORA_METRICS_TOKEN is set: nobody can read /metrics"
            yield Finding("settings", Verdict.NOTE, unread)


def _providers(settings: Settings) -> Iterator[Finding]:
    keys = ("apple_team_id", "apple_key_id", "apple_private_key")
    wanted = {"google_client_id": ("google_client_secret",), "apple_client_id": keys}
    for client, secrets in wanted.items():
        lacking = [variable(each) for each in secrets if not getattr(settings, each)]
        if getattr(settings, client) and lacking:
            yield Finding("settings", Verdict.ERROR, f"{variable(client)} needs {', '.join(lacking)} beside it")
    known = [name for name in (*wanted, "telegram_bot_token", "oidc_providers") if getattr(settings, name)]
    if settings.production and known and not settings.login_redirect_uris:
        yield Finding(
            "settings", Verdict.ERROR, "AGORA_LOGIN_REDIRECT_URIS is unset: no log-in by a provider comes back anywhere"
        )
    for each in settings.oidc_providers:
        if settings.production and not each.issuer.startswith("https://"):
            yield Finding("settings", Verdict.ERROR, f"the issuer of {each.name} in AGORA_OIDC_PROVIDERS is not https")


def _unwise_in_production(settings: Settings) -> Iterator[Finding]:
    for feature in ("introspection", "explorer", "demo"):
        if getattr(settings, feature):
            yield Finding("settings", Verdict.WARNING, f"{variable(feature)} is on in production")
    if settings.log_level == "debug":
        yield Finding("settings", Verdict.WARNING, "AGORA_LOG_LEVEL=debug in production logs personal data")
    if not settings.trusted_documents:
        yield Finding("settings", Verdict.WARNING, "AGORA_TRUSTED_DOCUMENTS is unset: production executes any document")
    if not settings.database_url:
        yield Finding(
            "settings", Verdict.NOTE, "DATABASE_URL is unset: production data lies in the home folder; back it up"
        )
    elif not settings.secret_key:
        yield Finding(
            "settings",
            Verdict.WARNING,
            "AGORA_SECRET_KEY is unset: each machine would sign tokens with a key of its own",
        )
    if not settings.smtp_url:
        yield Finding(
            "settings", Verdict.WARNING, "AGORA_SMTP_URL is unset: letters stay in the mailbox folder of the home"
        )
    elif settings.sender_address.endswith("@localhost"):
        yield Finding(
            "settings", Verdict.WARNING, "AGORA_SENDER_ADDRESS is unset: others refuse letters from localhost"
        )
    if settings.public_url.startswith("http://"):
        yield Finding("settings", Verdict.WARNING, "AGORA_PUBLIC_URL is not https")


def _shown(value: Any, *, secret: bool) -> str:
    if value in (None, "", ()):
        return ""
    if not secret:
        return ", ".join(value) if isinstance(value, tuple) else str(value)
    # Of a URL, everything but the user and password helps; of a key, nothing does.
    parts = urlsplit(str(value))
    if parts.scheme and not any(parts.scheme in schemes for schemes in SCHEMES.values()):
        # What other services are named by has its keys anywhere.
        return f"{parts.scheme}://***"
    return f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme else "***"
