"""E-mail over SMTP."""

from typing import Any
from urllib.parse import unquote, urlsplit

from domain.notifications import Message, NotSent, Receipt
from server.notifications.letters import letter_of

TIMEOUT_SECONDS = 30.0
PERMANENT = 500


class SmtpSender:
    """Hands letters to a mail server: `smtp://user:password@host:587` (TLS where it is offered) or `smtps://…`.

    Implements the domain's `Sender`. What the server refuses for good (5xx to the recipient or to the letter) has bounced;
    everything else may be tried again.
    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "smtps"
        self._options: dict[str, Any] = {
            "hostname": parts.hostname or "localhost",
            "port": parts.port or (465 if secure else 587 if parts.username else 25),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": secure,
            # A password goes over no line that others can read.
            "start_tls": None if not parts.username or secure else True,
            "timeout": timeout_seconds,
        }

    async def send(self, message: Message) -> Receipt:
        # Only the worker sends, so only the worker holds the library.
        import aiosmtplib  # noqa: PLC0415

        letter = letter_of(message)
        options = dict(self._options)
        if options["use_tls"]:
            options["start_tls"] = False
        try:
            _, answer = await aiosmtplib.send(letter, **options)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise NotSent(f"{refused.code} {refused.message}", permanent=refused.code >= PERMANENT) from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPAuthenticationError) as error:
            # That is our own fault and no reason to strike out the recipient.
            raise NotSent(f"{error.code} {error.message}") from error
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"{error.code} {error.message}", permanent=error.code >= PERMANENT) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error
        return Receipt(provider_message_id=str(letter["Message-ID"]) if answer is not None else None)
