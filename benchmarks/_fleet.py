"""Drivers on the road: their deliveries, what their devices tell, and how many positions a server takes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from benchmarks._buyers import Bazaar
from benchmarks._figures import Figure
from benchmarks._load import load, post
from benchmarks._system import Agora
from domain.kernel import uuid7
from server.services import Services

DRIVERS = 10_000
POSITIONS_A_CALL = 4
DEVICES_AT_ONCE = 64
DRIVER_LOCATION = "subscription D($id: ID!) { driverLocation(deliveryId: $id) { at latitude longitude } }"
TELL = """mutation T($input: UpdateDeliveryLocationInput!) { updateDeliveryLocation(input: $input) {
  ... on LocationReceipt { accepted } ... on Error { code message } } }"""
UNDER_WAY = """
INSERT INTO delivery.delivery (id, tenant_id, version, order_id, sub_order_id, order_number, store_id, mode, state,
  tracking_number, address, latitude, longitude, store_latitude, store_longitude, fee_minor, currency, proof_kind,
  age_restricted, driver_id, fences, is_arriving, attempts, proof, made_at, started_at)
SELECT delivery, :tenant, 1, gen_random_uuid(), gen_random_uuid(), 'ORD', :store, 'own_fleet',
  'en_route', 'AG' || replace(delivery::text, '-', ''), '{}', 43.75, -79.4, 43.6, -79.4, 0, 'CAD', 'none',
  false, driver, '{}', false, 1, '{}', now(), now()
FROM unnest(:drivers, :deliveries) AS fleet (driver, delivery)
"""
_UNDER_WAY = text(UNDER_WAY).bindparams(
    bindparam("drivers", type_=ARRAY(Uuid)), bindparam("deliveries", type_=ARRAY(Uuid))
)


@dataclass(frozen=True)
class Fleet:
    """Drivers and, in the same order, what each has under way; the first of them follow their own delivery."""

    drivers: Sequence[UUID]
    deliveries: Sequence[UUID]
    following: int

    def followers(self, init: Callable[[UUID], dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Give those who follow: who they are, and their variables."""
        variables = [{"id": str(each)} for each in self.deliveries[: self.following]]
        return [init(each) for each in self.drivers[: self.following]], variables

    def pings(self) -> list[dict[str, Any]]:
        """Give the variables of a ping for each of those who follow."""
        here = {"at": "@NOW@", "latitude": 43.61, "longitude": -79.4}
        return [{"input": {"positions": [here], "deliveryId": str(each)}} for each in self.deliveries[: self.following]]


async def put_on_the_road(services: Services, bazaar: Bazaar, following: int) -> Fleet:
    """Give every driver a delivery that is under way."""
    fleet = Fleet([uuid7() for _ in range(DRIVERS)], [uuid7() for _ in range(DRIVERS)], following)
    async with services.database.session(bazaar.shop.tenant_id) as session:
        store = next(iter(bazaar.shop.stores.values()))
        values = {"tenant": bazaar.shop.tenant_id, "store": store}
        await session.execute(_UNDER_WAY, values | {"drivers": fleet.drivers, "deliveries": fleet.deliveries})
    return fleet


def ping_for(server: Agora, fleet: Fleet, init: Callable[[UUID], dict[str, Any]], seconds: float) -> list[Figure]:
    """Let the devices of those who follow nothing tell their last seconds over HTTP, and say how many were taken a second."""
    now = datetime.now(UTC)
    requests = []
    for driver in fleet.drivers[fleet.following :]:
        who = init(driver)
        headers = {"Authorization": f"Bearer {who['accessToken']}", "X-Agora-Tenant": who["tenant"]}
        places = [
            {
                "at": (now - timedelta(seconds=30 - place)).isoformat(),
                "latitude": 43.61 + place * 0.00009,
                "longitude": -79.4,
            }
            for place in range(POSITIONS_A_CALL)
        ]
        requests.append(post("/graphql", TELL, {"input": {"positions": places}}, headers))
    taken = f'"accepted":{POSITIONS_A_CALL}'
    run = load(server.port, requests, connections=DEVICES_AT_ONCE, seconds=seconds, most=len(requests), wanted=taken)
    calls = len(run.latencies) - run.errors
    note = f"{POSITIONS_A_CALL} a call over HTTP, {run.errors} calls were not taken whole"
    return [
        Figure("positions of drivers", calls * POSITIONS_A_CALL / run.seconds, "/s", 2_500, at_least=True, note=note)
    ]
