"""A delivery: one store's part of an order on its way to the door."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any, TypeVar
from uuid import UUID

from domain.delivery.events import (
    CarrierBooked,
    DeliveryArriving,
    DeliveryAssigned,
    DeliveryCancelled,
    DeliveryCompleted,
    DeliveryCreated,
    DeliveryFact,
    DeliveryFailed,
    DeliveryPickedUp,
    DeliveryRescheduled,
    DeliveryReturned,
    DeliveryStarted,
    DeliveryUnassigned,
    GeofenceEntered,
    GeofenceLeft,
)
from domain.delivery.geography import Position, distance_metres
from domain.delivery.routing import StraightLineTravel
from domain.delivery.states import (
    DELIVERY_STATES,
    OVER,
    DeliveryMode,
    DeliveryState,
    FailureReason,
    ProofKind,
    VehicleType,
)
from domain.kernel import Aggregate, DomainError, InvalidInput, InvalidStateTransition, Work

F = TypeVar("F", bound=DeliveryFact)
MAX_NOTE = 1_000
CODE_DIGITS = 6
_OBJECT_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{2,200}")
_SHOWN_BY_FILES = frozenset({ProofKind.SIGNATURE, ProofKind.PHOTO})


@dataclass(eq=False)
class ProofRequired(DomainError):
    """Nothing shows that the goods were handed over as they must be."""

    required: str
    template = "This delivery needs a proof: {required}."


@dataclass(eq=False)
class ProofAlreadyUsed(DomainError):
    """A signature or photo has proved another delivery already."""

    key: str
    template = "The proof {key} belongs to another delivery."


@dataclass(eq=False)
class WrongDeliveryCode(DomainError):
    """The code is not the one that the recipient was given."""

    template = "The code is wrong."


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What shows that goods were handed over: keys of files in the object store, a code, a place."""

    signature_key: str | None = None
    photo_key: str | None = None
    code: str | None = None
    position: Position | None = None
    recipient: str | None = None


def tracking_number() -> str:
    """Make a number that nobody guesses: 80 bits, for whoever has it may see how far the delivery is."""
    return f"AG{secrets.token_hex(10).upper()}"


def delivery_code() -> str:
    """Make the code that a recipient tells the driver."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


@dataclass(eq=False, kw_only=True)
class Delivery(Aggregate):
    """What one store sends for an order. `position` is that of the door, as far as it is known; the fee is in minor units."""

    order_id: UUID
    sub_order_id: UUID
    order_number: str
    customer_id: UUID | None
    store_id: UUID
    mode: DeliveryMode = DeliveryMode.OWN_FLEET
    state: DeliveryState = DeliveryState.PENDING
    tracking_number: str = field(default_factory=tracking_number)
    address: dict[str, Any]
    latitude: float | None = None
    longitude: float | None = None
    store_latitude: float | None = None
    store_longitude: float | None = None
    distance_km: float | None = None
    fee_minor: int = 0
    currency: str
    notes: str | None = None
    method_id: UUID | None = None
    zone_id: UUID | None = None
    slot_id: UUID | None = None
    window_opens: datetime | None = None
    window_closes: datetime | None = None
    proof_kind: ProofKind = ProofKind.NONE
    age_restricted: bool = False
    code: str | None = None
    driver_id: UUID | None = None
    vehicle_type: VehicleType | None = None
    batch_id: UUID | None = None
    place_in_batch: int | None = None
    carrier: str | None = None
    carrier_reference: str | None = None
    label_url: str | None = None
    tracked_at: datetime | None = None
    fences: list[str] = field(default_factory=list)
    is_arriving: bool = False
    attempts: int = 0
    failure_reason: FailureReason | None = None
    signature_key: str | None = None
    photo_key: str | None = None
    proof: dict[str, Any] = field(default_factory=dict)
    made_at: datetime
    started_at: datetime | None = None
    delivered_at: datetime | None = None

    @property
    def position(self) -> Position | None:
        return _position(self.latitude, self.longitude)

    @property
    def store_position(self) -> Position | None:
        return _position(self.store_latitude, self.store_longitude)

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def create(self, work: Work) -> None:
        """Begin."""
        if self.position is not None:
            self.locate(self.position)
        if self.proof_kind is ProofKind.CODE:
            self.code = delivery_code()
        self.record(self._fact(DeliveryCreated, work.now, mode=self.mode))

    def locate(self, door: Position) -> None:
        """Say where the door is, and with it how far it is from the store by road."""
        self.latitude, self.longitude = door.latitude, door.longitude
        if self.store_position is not None:
            self.distance_km = round(StraightLineTravel().metres(self.store_position, door) / 1_000, 2)

    def assign(self, driver_id: UUID, vehicle_type: VehicleType | None, work: Work) -> None:
        """Give it to a driver. Raises: InvalidStateTransition."""
        self._expect(DeliveryMode.OWN_FLEET, DeliveryState.ASSIGNED)
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.ASSIGNED)
        self.driver_id, self.vehicle_type = driver_id, vehicle_type
        self.record(self._fact(DeliveryAssigned, work.now))

    def unassign(self, work: Work) -> None:
        """Take it from its driver, who has not got the goods yet. Raises: InvalidStateTransition."""
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.PENDING)
        self.record(self._fact(DeliveryUnassigned, work.now))
        self.driver_id = self.batch_id = self.place_in_batch = None

    def pick_up(self, work: Work) -> None:
        """Have the driver take the goods. Raises: InvalidStateTransition."""
        self._expect(DeliveryMode.OWN_FLEET, DeliveryState.PICKED_UP, driven=True)
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.PICKED_UP)
        self.record(self._fact(DeliveryPickedUp, work.now))

    def start(self, work: Work) -> None:
        """Set out for the door. Raises: InvalidStateTransition."""
        self._expect(DeliveryMode.OWN_FLEET, DeliveryState.EN_ROUTE, driven=True)
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.EN_ROUTE)
        self.started_at, self.is_arriving, self.fences = work.now, False, []
        self.attempts += 1
        self.record(self._fact(DeliveryStarted, work.now))

    def complete(self, proof: Proof, work: Work) -> None:
        """Hand it over; the same proof again changes nothing, so that a driver without a signal may repeat it.

        Raises: InvalidStateTransition, ProofRequired, WrongDeliveryCode, InvalidInput.
        """
        if self.state is DeliveryState.DELIVERED and self._is_same(proof):
            return
        state = DELIVERY_STATES.check(self.state, DeliveryState.DELIVERED)
        self._check(proof)
        self.state, self.delivered_at = state, work.now
        self.signature_key, self.photo_key = proof.signature_key, proof.photo_key
        self.proof = self._described(proof, work)
        self.record(self._fact(DeliveryCompleted, work.now))

    def fail(self, reason: FailureReason, note: str | None, work: Work) -> None:
        """Say that it could not be handed over. Raises: InvalidStateTransition."""
        _check_note(note)
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.FAILED)
        self.failure_reason = reason
        self.record(self._fact(DeliveryFailed, work.now, reason=reason, note=note))

    def schedule(self, opens: datetime, closes: datetime, slot_id: UUID | None, work: Work) -> None:
        """Agree on another time; what has failed can be tried again then. Raises: InvalidStateTransition, InvalidInput."""
        if closes <= opens or closes <= work.now:
            raise InvalidInput(field="windowCloses", reason="the window ends after it begins, and in the future")
        if self.state is DeliveryState.FAILED:
            self.state = DELIVERY_STATES.check(self.state, DeliveryState.RESCHEDULED)
        elif self.state not in {DeliveryState.PENDING, DeliveryState.ASSIGNED, DeliveryState.RESCHEDULED}:
            raise InvalidStateTransition(kind="Delivery", current=self.state, requested=DeliveryState.RESCHEDULED)
        self.window_opens, self.window_closes, self.slot_id = opens, closes, slot_id
        times = {"window_opens": opens, "window_closes": closes}
        state = self.state if self.state is DeliveryState.RESCHEDULED else None
        self.record(self._fact(DeliveryRescheduled, work.now, state=state, **times))
        if self.state is DeliveryState.RESCHEDULED:
            self.driver_id = self.batch_id = self.place_in_batch = None

    def return_to_store(self, work: Work) -> None:
        """Bring back what nobody took. Raises: InvalidStateTransition."""
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.RETURNED_TO_STORE)
        self.record(self._fact(DeliveryReturned, work.now))

    def cancel(self, reason: str | None, work: Work) -> None:
        """Call it off, as long as nobody has the goods. Raises: InvalidStateTransition."""
        _check_note(reason)
        self.state = DELIVERY_STATES.check(self.state, DeliveryState.CANCELLED)
        self.record(self._fact(DeliveryCancelled, work.now, reason=reason))

    def book_carrier(self, reference: str, label_url: str | None, work: Work) -> None:
        """Note what a carrier calls it."""
        self.carrier_reference, self.label_url = reference, label_url
        booked = {"carrier": self.carrier or "", "carrier_reference": reference}
        self.record(self._fact(CarrierBooked, work.now, **booked))

    def track(self, state: DeliveryState, at: datetime) -> bool:
        """Follow what a carrier saw, in whatever order it comes; says whether that changed the state.

        What ends a delivery counts more than what does not, then the later scan, then the one that is farther on its way.
        """
        if self.state is DeliveryState.CANCELLED or _weight(state, at) <= _weight(self.state, self.tracked_at):
            return False
        changed, self.state, self.tracked_at = state is not self.state, state, at
        if not changed:
            self.version += 1
            return False
        if state is DeliveryState.DELIVERED:
            self.delivered_at = at
        details = {"reason": FailureReason.OTHER} if state is DeliveryState.FAILED else {}
        self.record(self._fact(_SCANNED[state], at, **details))
        return True

    def arrive(self, work: Work) -> None:
        """Say once that the driver is nearly there."""
        if self.state is DeliveryState.EN_ROUTE and not self.is_arriving:
            self.is_arriving = True
            self.record(self._fact(DeliveryArriving, work.now))

    def cross(self, fence: str, *, inside: bool, at: datetime) -> None:
        """Note that the driver came into a fence, or left it; to say so again changes nothing."""
        if self.state is not DeliveryState.EN_ROUTE or inside == (fence in self.fences):
            return
        self.fences = [*self.fences, fence] if inside else [each for each in self.fences if each != fence]
        self.record(self._fact(GeofenceEntered if inside else GeofenceLeft, at, fence=fence))

    def _expect(self, mode: DeliveryMode, requested: DeliveryState, *, driven: bool = False) -> None:
        if self.mode is not mode or (driven and self.driver_id is None):
            raise InvalidStateTransition(kind="Delivery", current=self.state, requested=requested)

    def _check(self, proof: Proof) -> None:
        for name, key in (("signatureKey", proof.signature_key), ("photoKey", proof.photo_key)):
            if key is not None and not _OBJECT_KEY.fullmatch(key):
                raise InvalidInput(field=name, reason="it is no key of a file")
        files = {ProofKind.SIGNATURE: proof.signature_key, ProofKind.PHOTO: proof.photo_key}
        if self.age_restricted and not any(files.values()):
            raise ProofRequired(required="a signature or a photo")
        if self.proof_kind in _SHOWN_BY_FILES and not files[self.proof_kind]:
            raise ProofRequired(required=f"a {self.proof_kind}")
        if self.code is not None and not proof.code:
            raise ProofRequired(required="the recipient's code")
        if self.code is not None and not compare_digest(self.code.encode(), (proof.code or "").encode()):
            raise WrongDeliveryCode

    def _is_same(self, proof: Proof) -> bool:
        return (self.signature_key, self.photo_key) == (proof.signature_key, proof.photo_key) and (
            self.proof.get("code_given", False) == bool(proof.code)
        )

    def _described(self, proof: Proof, work: Work) -> dict[str, Any]:
        away = None
        if proof.position is not None and self.position is not None:
            away = round(distance_metres(proof.position, self.position))
        place = proof.position and {"latitude": proof.position.latitude, "longitude": proof.position.longitude}
        return {
            "by": str(work.actor.user_id) if work.actor.user_id else None,
            "recipient": proof.recipient,
            "position": place,
            "metres_from_door": away,
            "code_given": bool(proof.code),
        }

    def _fact(self, kind: type[F], at: datetime, **details: Any) -> F:
        return kind(
            order_id=self.order_id,
            sub_order_id=self.sub_order_id,
            store_id=self.store_id,
            customer_id=self.customer_id,
            tracking_number=self.tracking_number,
            driver_id=self.driver_id,
            at=at,
            **details,
        )


_SCANNED: Mapping[DeliveryState, type[DeliveryFact]] = {
    DeliveryState.PICKED_UP: DeliveryPickedUp,
    DeliveryState.EN_ROUTE: DeliveryStarted,
    DeliveryState.DELIVERED: DeliveryCompleted,
    DeliveryState.FAILED: DeliveryFailed,
    DeliveryState.RETURNED_TO_STORE: DeliveryReturned,
}
_RANKS = {state: rank for rank, state in enumerate(DeliveryState)}


def _weight(state: DeliveryState, at: datetime | None) -> tuple[bool, float, int]:
    return state in OVER, at.timestamp() if at else 0.0, _RANKS[state]


def _position(latitude: float | None, longitude: float | None) -> Position | None:
    return None if latitude is None or longitude is None else Position(latitude, longitude)


def _check_note(note: str | None) -> None:
    if len(note or "") > MAX_NOTE:
        raise InvalidInput(field="note", reason=f"it has at most {MAX_NOTE:,} characters")
