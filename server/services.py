"""The process-wide services that handlers and resolvers ask for by the ports of the domain."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

import data.tables  # noqa: F401 — maps every aggregate and registers every port.
from data.audit import SqlAuditTrail
from data.bus import channel_of, connect
from data.database import Database
from data.declarations import declared
from data.delivery import BufferedPositionLog, RememberedLegs
from data.encryption import AesCipher
from data.identity.api_keys import KeyUses
from data.import_files import FolderImportFiles
from data.indexing import all_documents
from data.inventory import GroupedStockDesk
from data.live import SqlRoomBooks
from data.objects import ObStore
from data.passwords import Argon2Hasher
from data.replicas import Marks, Replicas
from data.sagas import SagaHolds
from data.sealing import PersonKeys
from data.search import BufferedSearchLog, PostgresTextSearch
from data.tenancy import SqlPlatform
from data.topics import SqlTopicLog
from data.transactions import SqlTransactions
from domain.auditing import AuditTrail
from domain.delivery.addresses import AddressValidator
from domain.delivery.carriers import Carriers
from domain.delivery.geography import Geometry
from domain.delivery.positions import DriverSignals, Legs, PositionLog, Positions
from domain.delivery.routing import RouteOptimizer
from domain.discovery import IndexRebuild, SearchLog
from domain.identity.api_keys import ApiKeyDoor, ApiKeyReads
from domain.identity.factors import Secrets
from domain.identity.guarding import DeviceTokens
from domain.identity.identity_providers import IdentityProviders
from domain.identity.impersonation import LONGEST
from domain.identity.passkeys import PasskeyChecks, RelyingParties
from domain.identity.passwords import PasswordHasher, PasswordScreen
from domain.identity.privacy import ExportTickets, PrivacyPolicy
from domain.identity.sessions import AccessPolicy, AccessTokens, RevocationReads, Revocations
from domain.inventory import StockDesk
from domain.live import LiveReads, LiveRooms, RoomBooks, StreamingPlatform
from domain.messaging import ONLINE, TypingPace, UploadTickets
from domain.notifications import PushKey, PushServices, SenderIdentity, TemplateEngine, UnsubscribeTokens
from domain.objects import ObjectStore
from domain.payments.providers import PaymentProvider, ProviderDirectory
from domain.processes.importing import ImportFiles, ImportMaps
from domain.sagas import Processes, SagaRunner
from domain.search import SearchEngine
from domain.tenancy import Cipher, Platform
from domain.topics import Presence, Signals, TopicHub
from search.embedded import EmbeddedSearchEngine
from search.fallback import FallbackSearchEngine
from server.api_keys import KeyAuthenticator
from server.auth import Authenticator, IssuingTokens, RevocationList
from server.delivery.addresses import PostalRules
from server.delivery.carriers import CarrierDirectory, PostCounter
from server.delivery.geometry import ShapelyGeometry
from server.delivery.routing import PyVrpOptimizer
from server.export_tickets import SignedExportTickets
from server.identity.keys import KeyedSecrets, SignedDeviceTokens
from server.identity.known_passwords import KnownPasswords
from server.identity.sites import TenantSites
from server.identity.webauthn import WebAuthn
from server.importer import OurMaps
from server.live import EmbeddedStreaming
from server.metrics import METRICS
from server.notifications.templating import JinjaTemplates
from server.notifications.unsubscribing import SignedTokens
from server.notifications.web_push import public_key, vapid_key
from server.notifications.wiring import sender_identity
from server.payments import Payments, PaymentSettings, open_payments
from server.payments.sandbox_app import Post, SandboxApp, SandboxConfig
from server.payments.webhooks import Endpoints, WebhookReceiver
from server.sagas import Runner
from server.settings import Settings
from server.sign_on.directory import ConfiguredProviders
from server.sign_on.wiring import sign_on_settings
from server.tenant import TenantResolver
from server.tokens import KeyRing, TokenService
from server.upload_tickets import SignedTickets
from subscriptions.announcing import AnnouncedPresence
from subscriptions.hub import RedisHub
from subscriptions.live import RedisLiveRooms
from subscriptions.pace import RedisTypingPace
from subscriptions.positions import RedisPositions, WatchedSignals
from subscriptions.presence import RedisPresence

AUDIENCE = "agora"
MARK_MARGIN_SECONDS = 5.0
TOLD_SECONDS = 0.3
"""As with other providers, what the sandbox has answered it tells again when the answer has been dealt with."""


@dataclass
class Services:
    """What one process works with, by port, and the few that the edge itself needs."""

    database: Database
    transactions: SqlTransactions
    tenants: TenantResolver
    authenticator: Authenticator
    search: SearchEngine
    sagas: Runner
    webhooks: Sequence[WebhookReceiver] = ()
    endpoints: Endpoints | None = None
    by_port: dict[type, Any] = field(default_factory=dict)
    replicas: Replicas | None = None


class Rebuild:
    """Fills the search index from the database; implements the domain's `IndexRebuild`."""

    def __init__(self, engine: SearchEngine, database: Database) -> None:
        self._engine = engine
        self._database = database

    async def run(self) -> int:
        return await self._engine.rebuild(all_documents(self._database))


def search_engine(settings: Settings, *, writable: bool) -> SearchEngine:
    """Give the engine that the settings name; of the embedded one only a single process may write."""
    if settings.meilisearch_url:
        # Its client weighs 16 MB, which a server without Meilisearch has better uses for.
        from search.meilisearch import MeilisearchEngine  # noqa: PLC0415

        return MeilisearchEngine(settings.meilisearch_url, settings.meilisearch_key or None)
    return EmbeddedSearchEngine(settings.home / "search", writable=writable)


def key_ring(settings: Settings) -> KeyRing:
    """Give the keys that access tokens are signed with."""
    return KeyRing(settings.derive_key)


def token_service(settings: Settings, keys: KeyRing) -> TokenService:
    """Give what issues and reads access tokens."""
    lifetime = timedelta(seconds=settings.access_token_seconds)
    return TokenService(keys, issuer=settings.public_url or "agora", audience=AUDIENCE, lifetime=lifetime)


@asynccontextmanager
async def _payments(
    settings: Settings, sandbox_post: Post | None, database: Database, cipher: Cipher
) -> AsyncIterator[Payments]:
    """Open the providers that the settings name, and the sandbox to try them out; its webhooks go where `sandbox_post` says."""
    known = PaymentSettings(stripe_key=settings.stripe_key, stripe_webhook_secrets=settings.stripe_webhook_secrets)
    async with AsyncExitStack() as stack:
        if settings.allows("sandbox"):
            key, secret = (settings.derive_key(purpose).hex() for purpose in ("sandbox key", "sandbox webhooks"))
            settings.home.mkdir(parents=True, exist_ok=True)
            agreed = SandboxConfig(
                api_key=key, webhook_secret=secret, told_seconds=TOLD_SECONDS, path=settings.home / "sandbox.sqlite"
            )
            sandbox = SandboxApp(agreed, post=sandbox_post)
            stack.push_async_callback(sandbox.aclose)
            known = replace(known, sandbox_app=sandbox.app, sandbox_key=key, sandbox_webhook_secrets=(secret,))
        yield await stack.enter_async_context(open_payments(known, database, cipher, observe=METRICS.asked_provider))


@asynccontextmanager
async def open_services(
    settings: Settings, *, writes_index: bool = False, sandbox_post: Post | None = None
) -> AsyncIterator[Services]:
    """Open the database and everything that stands on it."""
    async with AsyncExitStack() as stack:
        cipher = AesCipher([settings.derive_key("encryption", 32)])
        pools = {"read_pool": settings.read_pool, "write_pool": settings.write_pool}
        database = await stack.enter_async_context(
            Database(settings.database_url, **pools, person_keys=PersonKeys(cipher))
        )
        engine = search_engine(settings, writable=writes_index)
        stack.push_async_callback(engine.close)
        search = engine if writes_index else FallbackSearchEngine(engine, PostgresTextSearch(database))
        tokens = token_service(settings, key_ring(settings))
        uses = await stack.enter_async_context(KeyUses(database))
        keys = KeyAuthenticator(_keys_of(database), uses.note)
        revocations = RevocationList(_revocations_of(database), max(tokens.lifetime, LONGEST))
        hasher = Argon2Hasher()
        stack.callback(hasher.close)
        providers = ConfiguredProviders(sign_on_settings(settings))
        stack.push_async_callback(providers.close)
        by_port: dict[type, Any] = {}
        replicas: Replicas | None = None
        platform = SqlPlatform(database, by_port)
        by_port |= {
            SearchEngine: search,
            SearchLog: await stack.enter_async_context(BufferedSearchLog(database)),
            IndexRebuild: Rebuild(engine, database),
            PasswordHasher: hasher,
            AccessPolicy: AccessPolicy(
                refresh_lifetime=timedelta(seconds=settings.refresh_token_seconds), confirm_email=settings.confirm_email
            ),
            IdentityProviders: providers,
            AccessTokens: IssuingTokens(tokens, revocations),
            ApiKeyDoor: keys,
            Secrets: KeyedSecrets(settings.derive_key("encryption", 32), settings.derive_key("one-time codes")),
            DeviceTokens: SignedDeviceTokens(settings.derive_key("devices")),
            PasswordScreen: KnownPasswords(settings.breached_passwords),
            PasskeyChecks: WebAuthn(),
            RelyingParties: TenantSites(platform, settings.url, settings.allowed_origins, settings.sender_name),
            AuditTrail: SqlAuditTrail(database, settings.derive_key("audit chain")),
            PrivacyPolicy: (privacy := PrivacyPolicy(grace=timedelta(days=settings.erasure_grace_days))),
            ExportTickets: SignedExportTickets(
                settings.derive_key("data exports"), privacy.link_lifetime.total_seconds()
            ),
            Cipher: cipher,
            Platform: platform,
            ImportFiles: FolderImportFiles(settings.home / "imports"),
            ImportMaps: OurMaps(),
            StockDesk: GroupedStockDesk(database),
            TemplateEngine: JinjaTemplates(),
            UnsubscribeTokens: SignedTokens(settings.derive_key),
            PushServices: PushServices(),
            PushKey: PushKey(public_key(vapid_key(settings.derive_key))),
            SenderIdentity: sender_identity(settings),
            ObjectStore: ObStore(settings.objects_url),
            UploadTickets: SignedTickets(settings.derive_key("upload tickets")),
            RoomBooks: SqlRoomBooks(database),
            StreamingPlatform: _streaming(settings, database),
            Geometry: ShapelyGeometry(),
            AddressValidator: PostalRules(),
            RouteOptimizer: PyVrpOptimizer(),
            Carriers: CarrierDirectory([PostCounter(settings.url)]),
            Legs: RememberedLegs(database),
            PositionLog: await stack.enter_async_context(BufferedPositionLog(database)),
        }
        if settings.redis_url:
            redis, space = await stack.enter_async_context(connect(settings.redis_url)), settings.redis_namespace
            if settings.replica_urls:
                replicas = await stack.enter_async_context(_replicas(settings, database, redis))
            hub = await stack.enter_async_context(
                RedisHub(redis, SqlTopicLog(database), channel_of(space), space, observe=METRICS.heard)
            )
            METRICS.followers.set_function(hub.followers)
            presence = await stack.enter_async_context(RedisPresence(redis, space))
            announced = AnnouncedPresence(presence, hub, {ONLINE})
            rooms = await stack.enter_async_context(RedisLiveRooms(redis, announced, hub, by_port[RoomBooks], space))
            by_port |= {
                TopicHub: hub,
                Signals: hub,
                Presence: rooms,
                LiveRooms: rooms,
                TypingPace: RedisTypingPace(redis, space),
                Positions: RedisPositions(redis, space),
                DriverSignals: await stack.enter_async_context(WatchedSignals(hub, presence)),
            }
        payments = await stack.enter_async_context(_payments(settings, sandbox_post, database, by_port[Cipher]))
        by_port |= {PaymentProvider: payments.router, ProviderDirectory: payments.router}
        # The platform's transactions must offer the same services, itself included.
        platform.transactions.offer(by_port)
        transactions = SqlTransactions(database, observe=METRICS.commanded)
        transactions.offer(by_port)
        processes = [each for kept in declared(Processes) for each in kept.entries]
        runner = Runner(transactions, SagaHolds(database), by_port, processes, observe=METRICS.processed)
        by_port[SagaRunner] = runner
        yield Services(
            database=database,
            transactions=transactions,
            tenants=TenantResolver(platform),
            authenticator=Authenticator(tokens, revocations, keys),
            search=search,
            sagas=runner,
            webhooks=payments.receivers,
            endpoints=payments.endpoints,
            by_port=by_port,
            replicas=replicas,
        )


def _replicas(settings: Settings, database: Database, redis: Redis) -> Replicas:
    limit_seconds = settings.replica_lag_seconds
    # A replica that is behind by more than the limit is not asked at all, so that older changes need no mark.
    marks = Marks(redis, settings.redis_namespace, seconds=limit_seconds * 2 + MARK_MARGIN_SECONDS)
    return Replicas(
        database,
        settings.replica_urls,
        marks,
        pool=settings.read_pool,
        limit_seconds=limit_seconds,
        observe=METRICS.read_at,
    )


def _streaming(settings: Settings, database: Database) -> EmbeddedStreaming:
    async def is_open(tenant_id: UUID | None, session_id: UUID, preparation_id: UUID | None) -> bool:
        reads = database.system_reads() if tenant_id is None else database.reads(tenant_id)
        try:
            return await reads.port(LiveReads).stream_is_open(session_id, preparation_id)
        finally:
            await reads.close()

    secret = settings.derive_key("live streams")
    return EmbeddedStreaming(secret, settings.live_ingest_url, settings.live_playback_url, is_open)


def _revocations_of(database: Database) -> Any:
    async def load(since: datetime) -> Revocations:
        reads = database.system_reads()
        try:
            return await reads.port(RevocationReads).since(since)
        finally:
            await reads.close()

    return load


def _keys_of(database: Database) -> Any:
    async def load(key_ids: Sequence[UUID]) -> Sequence[Any | None]:
        reads = database.system_reads()
        try:
            return await reads.port(ApiKeyReads).presented(key_ids)
        finally:
            await reads.close()

    return load
