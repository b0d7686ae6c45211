"""SMS and chat through any of the services that Apprise knows by a URL."""

import asyncio

from domain.notifications import Message, NotSent, Receipt

PHONE = "{phone}"


class AppriseSender:
    """Sends short messages by an Apprise URL in which `{phone}` stands for the recipient's number. Implements `Sender`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, message: Message) -> Receipt:
        if not await asyncio.to_thread(self._notify, message):
            raise NotSent("the service did not take it")
        return Receipt(provider_message_id=f"apprise:{message.id}")

    def _notify(self, message: Message) -> bool:
        # Only the worker sends, and the library knows a hundred services.
        import apprise  # noqa: PLC0415

        service = apprise.Apprise()
        # A number in E.164 form has nothing in it but a plus sign and digits.
        if not service.add(self._url.replace(PHONE, message.to)):
            raise NotSent("AGORA_SMS_URL is not one that Apprise knows")
        text = "\n".join(part for part in (message.text, message.link) if part)
        return bool(service.notify(body=text, body_format=apprise.NotifyFormat.TEXT))
