"""The carriers that an installation works with: its own label printer, until others are added."""

from collections.abc import Collection, Sequence

from domain.delivery.carriers import Carrier, CarrierScan, Consignment, Shipment


class PostCounter:
    """A parcel that somebody takes to a counter: it goes under our own number, and its carrier tells by hand or webhook."""

    name = "post"

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    async def book(self, consignment: Consignment) -> Shipment:
        return Shipment(
            carrier=self.name, reference=consignment.number, label_url=f"{self._public_url}/track/{consignment.number}"
        )

    async def track(self, reference: str) -> Sequence[CarrierScan]:  # noqa: ARG002 — others need it to ask.
        return ()


class CarrierDirectory:
    """Finds carriers by name; implements the domain's `Carriers`."""

    def __init__(self, carriers: Sequence[Carrier]) -> None:
        self._carriers = {each.name: each for each in carriers}

    def names(self) -> Collection[str]:
        return self._carriers.keys()

    def find(self, name: str) -> Carrier | None:
        return self._carriers.get(name)
