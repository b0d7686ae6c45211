"""Every setting of Agora, from the environment; `agora doctor` lists them all."""

import json
import os
import secrets
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "AGORA_"
MINIMUM_SECRET_LENGTH = 32
PRESET_PROVIDERS = ("google", "apple", "telegram")
KEY_FILE = "secret.key"
SCHEMES = {
    "database_url": ("postgresql", "postgres", "postgresql+asyncpg"),
    "redis_url": ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster"),
    "meilisearch_url": ("http", "https"),
    "smtp_url": ("smtp", "smtps"),
    "otlp_endpoint": ("http", "https"),
}


def default_home() -> Path:
    """The folder for data of this user."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share") / "agora"


class OidcProvider(BaseModel):
    """An OpenID provider that everybody may log in by."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    title: str
    issuer: str = Field(pattern=r"^https?://")
    client_id: str
    client_secret: str = Field(repr=False)
    scopes: tuple[str, ...] = ("openid", "email", "profile")


class Settings(BaseSettings):
    """What a deployment may choose: `AGORA_PORT` sets `port`; DATABASE_URL and REDIS_URL go without the prefix.

    An empty URL means the embedded engine. Fields with repr=False are secrets and shown masked.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
    )

    home: Path = Field(default_factory=default_home, description="data, secrets, logs and the search index")
    environment: Literal["development", "production"] = Field(
        "development", description="production closes what helps developers"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: str = Field("", description="how clients reach this server; empty: from host and port")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="web origins that may call, comma-separated"
    )

    database_url: str = Field(
        "",
        validation_alias=AliasChoices("DATABASE_URL", "AGORA_DATABASE_URL"),
        repr=False,
        description="PostgreSQL 16 or newer",
    )
    replica_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        (), repr=False, description="PostgreSQL servers that follow it, for reads that tolerate lag, comma-separated"
    )
    replica_lag_seconds: PositiveFloat = Field(5.0, description="a replica further behind is not asked")
    redis_url: str = Field(
        "",
        validation_alias=AliasChoices("REDIS_URL", "AGORA_REDIS_URL"),
        repr=False,
        description="Redis or Valkey; redis+cluster:// for a cluster",
    )
    redis_namespace: str = Field("agora", pattern=r"^[a-z0-9_-]+$", description="what keys in Redis begin with")
    meilisearch_url: str = Field("", description="Meilisearch; empty: the embedded index in the home folder")
    meilisearch_key: str = Field("", repr=False, description="Meilisearch key with the rights of an administrator")
    object_store: str = Field("", description="URL of the store for files; empty: a folder in the home")

    secret_key: str = Field("", repr=False, description="what keys are derived from; empty: generated into the home")
    access_token_seconds: PositiveInt = Field(15 * 60, description="life of an access token")
    refresh_token_seconds: PositiveInt = Field(30 * 86_400, description="life of a refresh token")
    confirm_email: bool = Field(
        False, description="nobody logs in before their address is confirmed, where a tenant says nothing else"
    )
    breached_passwords: Path | None = Field(
        None, description="file of breached passwords: SHA-1 digests in order, as Have I Been Pwned gives them"
    )
    erasure_grace_days: PositiveInt = Field(14, description="days in which an erasure can be taken back")

    backup_passphrase: str = Field("", repr=False, description="what backups are encrypted with; empty: they are not")

    max_body_bytes: PositiveInt = Field(256 * 1024, description="largest body of a request")
    deadline_seconds: PositiveFloat = Field(30.0, description="longest time for one operation")
    max_values: PositiveInt = Field(200_000, description="largest result of one operation, in values")
    drain_seconds: PositiveFloat = Field(10.0, description="how long a stopping server lets operations finish")
    handover_seconds: NonNegativeFloat = Field(
        0.0, description="how long a stopping server serves on, not ready, until load balancers have noticed"
    )
    introspection: bool | None = Field(None, description="schema introspection; unset: only in development")
    explorer: bool | None = Field(None, description="GraphiQL in the browser; unset: only in development")
    trusted_documents: Path | None = Field(None, description="manifest of the documents that alone are executed")

    connections_per_caller: PositiveInt = Field(20, description="sockets and event streams that a user may hold open")
    connections_per_address: PositiveInt = Field(200, description="the same for all guests of one address")
    rate_limit_capacity: float = Field(0, ge=0, description="cost units that a caller may spend at once; 0: no limit")
    rate_limit_refill: float = Field(500, ge=0, description="cost units that a caller gets back per second")

    stripe_key: str = Field("", repr=False, description="Stripe's secret key; empty: no payments through Stripe")
    stripe_webhook_secrets: tuple[str, ...] = Field(
        (), repr=False, description="what Stripe signs webhooks with; several while they are being exchanged"
    )
    sandbox: bool | None = Field(None, description="a payment provider to try out, at /sandbox; unset: in development")

    login_redirect_uris: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="where browsers may come back to from a log-in by a provider, exactly, comma-separated"
    )
    google_client_id: str = Field("", description="client at Google; empty: nobody logs in by Google")
    google_client_secret: str = Field("", repr=False, description="its secret")
    apple_client_id: str = Field("", description="services ID at Apple; empty: nobody logs in by Apple")
    apple_team_id: str = Field("", description="the team that it belongs to")
    apple_key_id: str = Field("", description="the key that its secrets are signed with")
    apple_private_key: str = Field("", repr=False, description="that key, PEM; line breaks may be written \\n")
    telegram_bot_token: str = Field("", repr=False, description="bot for log-ins; empty: nobody logs in by Telegram")
    oidc_providers: tuple[OidcProvider, ...] = Field(
        (), repr=False, description="further OpenID providers, as JSON: name, title, issuer, client_id, client_secret"
    )

    smtp_url: str = Field(
        "", repr=False, description="mail server, smtp:// or smtps://; empty: letters go into the mailbox"
    )
    sms_url: str = Field(
        "", repr=False, description="Apprise URL for SMS, {phone} for the number; empty: they go into the mailbox"
    )
    web_push: bool | None = Field(
        None, description="send pushes to browsers; unset: only in production, else the mailbox"
    )
    sender_name: str = Field("Agora", description="in whose name messages go out where a tenant says nothing else")
    sender_address: str = Field("no-reply@localhost", description="address that letters come from")
    bounce_secrets: tuple[str, ...] = Field(
        (), repr=False, description="what reports of bounces are signed with; several while they are being exchanged"
    )
    live_ingest_url: str = Field("rtmp://localhost:1935/live", description="where hosts send live streams to, by RTMP")
    live_playback_url: str = Field("http://localhost:8888/live", description="where live streams are seen, by HLS")

    graph: bool = Field(True, description="serve the united graph at /graphql; off where only a router asks")
    router_secret: str = Field(
        "", repr=False, description="what the federation router proves itself by; empty: derived from the secret key"
    )
    router_proof: Literal["signature", "secret"] = Field(
        "signature",
        description="how it does: it signs each request, or sends the secret, inside of a network of its own",
    )

    migrate: bool = Field(True, description="serve brings the database up to date; off where a job does it before")
    worker: bool = Field(True, description="serve also runs a worker process")
    demo: bool | None = Field(None, description="load the demo marketplace on first start; unset: only in development")
    read_pool: PositiveInt = Field(8, description="database connections for reads, per process")
    write_pool: PositiveInt = Field(16, description="database connections for changes, per process")

    log_format: Literal["auto", "console", "json"] = Field("auto", description="auto: console at a terminal, else json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe level to log")
    access_log: bool | None = Field(None, description="a line per operation and request; unset: only in production")

    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="port of its own for /metrics and /health of a server; 0 takes a free one"
    )
    worker_metrics_port: int | None = Field(None, ge=0, le=65535, description="the same of a worker")
    metrics_host: str = Field("127.0.0.1", description="address that these ports listen on")
    metrics_token: str = Field(
        "",
        repr=False,
        description="what Prometheus has to show; set, /metrics is on the port of the graph in production too",
    )
    otlp_endpoint: str = Field(
        "",
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "AGORA_OTLP_ENDPOINT"),
        description="where traces go to, OTLP over HTTP; empty: there are none",
    )
    trace_ratio: float = Field(1.0, ge=0, le=1, description="share of traces that are kept; failures always are")
    trace_callers: bool | None = Field(
        None, description="continue the traces of callers, as behind a gateway of one's own; unset: only in development"
    )

    @field_validator("home", "trusted_documents", "breached_passwords")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @field_validator("breached_passwords")
    @classmethod
    def _with_something_in_it(cls, path: Path | None) -> Path | None:
        if path and not (path.is_file() and path.stat().st_size):
            raise ValueError(f"{path} is no file with anything in it")
        return path

    @field_validator("database_url", "redis_url", "meilisearch_url", "smtp_url", "otlp_endpoint")
    @classmethod
    def _of_a_known_scheme(cls, url: str, field: ValidationInfo) -> str:
        known = SCHEMES[str(field.field_name)]
        if url and not url.startswith(tuple(f"{scheme}://" for scheme in known)):
            raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in known)}")
        return url

    @field_validator("secret_key", "router_secret")
    @classmethod
    def _long_enough(cls, key: str) -> str:
        if 0 < len(key) < MINIMUM_SECRET_LENGTH:
            raise ValueError(f"must have at least {MINIMUM_SECRET_LENGTH} characters")
        return key

    @field_validator("oidc_providers")
    @classmethod
    def _named_once(cls, providers: tuple[OidcProvider, ...]) -> tuple[OidcProvider, ...]:
        names = [each.name for each in providers]
        if len({*names, *PRESET_PROVIDERS}) != len(names) + len(PRESET_PROVIDERS):
            raise ValueError(f"each needs a name of its own, other than {', '.join(PRESET_PROVIDERS)}")
        return providers

    @field_validator(
        "allowed_origins",
        "login_redirect_uris",
        "replica_urls",
        "stripe_webhook_secrets",
        "bounce_secrets",
        mode="before",
    )
    @classmethod
    def _separated(cls, origins: Any) -> Any:
        return (
            tuple(part.strip() for part in origins.split(",") if part.strip()) if isinstance(origins, str) else origins
        )

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def url(self) -> str:
        """Where clients find the server."""
        wildcard = self.host in {"0.0.0.0", "::"}  # noqa: S104 - recognised here, not bound.
        host = "127.0.0.1" if wildcard else f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def sends_pushes(self) -> bool:
        return self.production if self.web_push is None else self.web_push

    @property
    def logs_access(self) -> bool:
        return self.production if self.access_log is None else self.access_log

    @property
    def follows_callers(self) -> bool:
        return not self.production if self.trace_callers is None else self.trace_callers

    @property
    def shows_metrics(self) -> bool:
        """Whether /metrics is on the port of the graph: there everybody reaches it."""
        return bool(self.metrics_token) or not self.production

    def allows(self, feature: Literal["introspection", "explorer", "demo", "sandbox"]) -> bool:
        """Whether a development feature is on: as set, else by the environment."""
        chosen: bool | None = getattr(self, feature)
        return chosen if chosen is not None else not self.production

    @property
    def objects_url(self) -> str:
        """Where files lie."""
        return self.object_store or (self.home / "objects").as_uri()

    @cached_property
    def root_key(self) -> bytes:
        """What all keys are derived from; made on first use where nobody has chosen one."""
        return self.secret_key.encode() if self.secret_key else _generated_key(self.home)

    @property
    def has_key(self) -> bool:
        """Whether there is a secret key already."""
        return bool(self.secret_key) or (self.home / KEY_FILE).exists()

    @property
    def key_fingerprint(self) -> str:
        """What tells two secret keys apart and gives neither away."""
        return self.derive_key("fingerprint", 12).hex()

    def derive_key(self, purpose: str, length: int = 32) -> bytes:
        """A key of its own for each purpose, always the same for the same secret; length in bytes.

        Source: RFC 5869 (HKDF).
        """
        return HKDF(SHA256(), length, salt=None, info=f"agora:{purpose}".encode()).derive(self.root_key)

    @property
    def router_key(self) -> str:
        """What router and subgraphs share."""
        return self.router_secret or self.derive_key("router").hex()

    def with_engines(self, database_url: str, redis_url: str, **more: Any) -> Self:
        """The same settings, pointing at engines that run."""
        return self.model_copy(update={"database_url": database_url, "redis_url": redis_url, **more})

    def as_environment(self) -> dict[str, str]:
        """What a child process needs in its environment to have the same settings."""
        names = [name for name in type(self).model_fields if name in self.model_fields_set]
        return {variable(name): _text(getattr(self, name)) for name in names if getattr(self, name) is not None}


def variable(name: str) -> str:
    """The environment variable of a setting; the name itself where it is one already."""
    if name not in Settings.model_fields:
        return name
    alias = Settings.model_fields[name].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else PREFIX + name.upper()


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        models = [each.model_dump() for each in value if isinstance(each, BaseModel)]
        return json.dumps(models) if models else ",".join(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _generated_key(home: Path) -> bytes:
    """The secret of this home, made on first use; whichever process links its file first wins, the others read it."""
    file = home / KEY_FILE
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            file.hardlink_to(fresh)
        fresh.unlink()
    return file.read_text().strip().encode()
