"""Where a delivery, a driver and a tour can stand, and what may follow."""

from enum import StrEnum

from domain.kernel import Transitions


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    PICKED_UP = "picked_up"
    EN_ROUTE = "en_route"
    DELIVERED = "delivered"
    FAILED = "failed"
    RESCHEDULED = "rescheduled"
    RETURNED_TO_STORE = "returned_to_store"
    CANCELLED = "cancelled"


class DeliveryMode(StrEnum):
    """Who carries it: the store's own drivers, or a carrier."""

    OWN_FLEET = "own_fleet"
    CARRIER = "carrier"


class DriverStatus(StrEnum):
    """Whether a driver can be given something to deliver."""

    AVAILABLE = "available"
    BUSY = "busy"
    OFFLINE = "offline"


class VehicleType(StrEnum):
    """What a driver drives."""

    BICYCLE = "bicycle"
    CARGO_BIKE = "cargo_bike"
    MOTORCYCLE = "motorcycle"
    CAR = "car"
    VAN = "van"
    ELECTRIC_VAN = "electric_van"
    TRUCK = "truck"


class BatchState(StrEnum):
    """Where a tour of one driver stands."""

    CREATED = "created"
    OPTIMISED = "optimised"
    DISPATCHED = "dispatched"
    COMPLETED = "completed"


class FailureReason(StrEnum):
    """Why nothing could be handed over."""

    NOBODY_THERE = "nobody_there"
    REFUSED = "refused"
    ADDRESS_UNKNOWN = "address_unknown"
    DAMAGED = "damaged"
    TOO_YOUNG = "too_young"
    OTHER = "other"


class ProofKind(StrEnum):
    """What has to show that a delivery was handed over."""

    NONE = "none"
    SIGNATURE = "signature"
    PHOTO = "photo"
    CODE = "code"


_S = DeliveryState
DELIVERY_STATES = Transitions(
    "Delivery",
    _S.PENDING,
    {
        # What a carrier collects is assigned to nobody of ours.
        _S.PENDING: {_S.ASSIGNED, _S.PICKED_UP, _S.EN_ROUTE, _S.CANCELLED},
        _S.ASSIGNED: {_S.PENDING, _S.PICKED_UP, _S.EN_ROUTE, _S.CANCELLED},
        _S.PICKED_UP: {_S.EN_ROUTE, _S.FAILED},
        _S.EN_ROUTE: {_S.DELIVERED, _S.FAILED},
        _S.FAILED: {_S.RESCHEDULED, _S.RETURNED_TO_STORE},
        _S.RESCHEDULED: {_S.ASSIGNED, _S.EN_ROUTE, _S.RETURNED_TO_STORE, _S.CANCELLED},
        _S.DELIVERED: (),
        _S.RETURNED_TO_STORE: (),
        _S.CANCELLED: (),
    },
)

_B = BatchState
BATCH_STATES = Transitions(
    "DeliveryBatch",
    _B.CREATED,
    {
        _B.CREATED: {_B.OPTIMISED, _B.DISPATCHED},
        _B.OPTIMISED: {_B.OPTIMISED, _B.DISPATCHED},
        _B.DISPATCHED: {_B.COMPLETED},
        _B.COMPLETED: (),
    },
)

OVER = frozenset({_S.DELIVERED, _S.RETURNED_TO_STORE, _S.CANCELLED})
"""Nothing more happens to these."""

WITH_THE_DRIVER = frozenset({_S.ASSIGNED, _S.PICKED_UP, _S.EN_ROUTE})
"""These keep a driver busy."""
