"""Push messages to browsers: encrypted for each of them, and signed so that push services know the sender.

Source: RFC 8030 (Web Push), RFC 8291 (encryption), RFC 8292 (VAPID).
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.kernel import InvalidInput
from domain.notifications import Device, Message, NotSent, PushServices, Receipt

TIMEOUT_SECONDS = 15
LIFETIME_SECONDS = 86_400
LONGEST_TEXT = 2_000
_GONE = frozenset({404, 410})
# The order of the group of P-256.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def vapid_key(derive: Callable[[str, int], bytes]) -> ec.EllipticCurvePrivateKey:
    """Derive the key that pushes are signed with from the instance's secret: browsers keep to it for good.

    Source: FIPS 186-5 A.2.1 for a private key from random bits.
    """
    bits = int.from_bytes(derive("vapid", 48), "big")
    return ec.derive_private_key(bits % (_ORDER - 1) + 1, ec.SECP256R1())


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Give what browsers subscribe with: `applicationServerKey`, in base64url."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).decode().rstrip("=")


class WebPushSender:
    """Sends a push to all browsers of a person; it is sent when one of them took it. Implements the domain's `Sender`."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        services: PushServices,
        subject: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._key = key
        self._services = services
        self._subject = subject
        self._timeout_seconds = timeout_seconds

    async def send(self, message: Message) -> Receipt:
        if not message.devices:
            raise NotSent("no browser takes pushes", permanent=False)
        payload = orjson.dumps(
            {"id": str(message.id), "title": message.subject, "body": message.text[:LONGEST_TEXT], "url": message.link}
        )
        statuses = await asyncio.gather(*(asyncio.to_thread(self._post, each, payload) for each in message.devices))
        gone = tuple(each.endpoint for each, status in zip(message.devices, statuses, strict=True) if status in _GONE)
        if any(200 <= status < 300 for status in statuses):
            return Receipt(provider_message_id=f"push:{message.id}", gone=gone)
        raise NotSent(f"push services answered {', '.join(map(str, statuses))}", gone=gone)

    def _post(self, device: Device, payload: bytes) -> int:
        """Give the status that the push service answers with; 0 where it cannot be reached."""
        # Only the worker sends, so only the worker holds these libraries.
        import requests  # noqa: PLC0415
        from py_vapid import Vapid02  # noqa: PLC0415
        from pywebpush import WebPushException, webpush  # noqa: PLC0415

        try:
            webpush(
                {
                    "endpoint": self._services.accept(device.endpoint),
                    "keys": {"p256dh": device.p256dh, "auth": device.auth},
                },
                payload,
                vapid_private_key=Vapid02(self._key),
                vapid_claims={"sub": self._subject},
                ttl=LIFETIME_SECONDS,
                timeout=self._timeout_seconds,
                requests_session=_Straight(requests),
            )
        except WebPushException as error:
            return int(error.response.status_code) if error.response is not None else 0
        except (requests.RequestException, InvalidInput, ValueError):
            return 0
        return 201


class _Straight:
    """Posts where it is told to, and nowhere else: a push service that sends us on somewhere would choose the target."""

    def __init__(self, requests: Any) -> None:
        self._requests = requests

    def post(self, url: str, **options: Any) -> Any:
        return self._requests.post(url, **options, allow_redirects=False)
