"""What delivery holds about people: recipients and drivers."""

from data.delivery.tables import batch, delivery, driver, method, position, promise, scan, zone
from data.personal import Category, blanked, erased, files, kept, neutral

_MINE = "(SELECT order_id FROM delivery.delivery WHERE tenant_id = :tenant AND customer_id = $1)"
_DRIVEN = "driver_id = $1"

files(
    "delivery",
    """SELECT key FROM delivery.delivery, unnest(ARRAY[signature_key, photo_key]) AS key
    WHERE customer_id = $1 AND key IS NOT NULL""",
)
blanked(
    promise,
    f"order_id IN {_MINE}",
    {
        "latitude": (Category.LOCATION, "NULL"),
        "longitude": (Category.LOCATION, "NULL"),
        "notes": (Category.WORDS, "NULL"),
    },
    reason="what was promised for a fee belongs to the order",
    years=10,
)
blanked(
    delivery,
    "customer_id = $1",
    {
        "address": (
            Category.LOCATION,
            "jsonb_build_object('street_line1', '[erased]', 'city', '[erased]', 'country', address -> 'country')",
        ),
        "latitude": (Category.LOCATION, "NULL"),
        "longitude": (Category.LOCATION, "NULL"),
        "notes": (Category.WORDS, "NULL"),
        "code": (Category.SECRET, "NULL"),
        "label_url": (Category.LOCATION, "NULL"),
        "signature_key": (Category.IDENTITY, "NULL"),
        "photo_key": (Category.IDENTITY, "NULL"),
        "proof": (Category.IDENTITY, "'{}'"),
    },
    reason="that an order was delivered is evidence for taxes",
    years=10,
)
erased(
    position,
    _DRIVEN,
    latitude=Category.LOCATION,
    longitude=Category.LOCATION,
    accuracy=Category.LOCATION,
    speed=Category.BEHAVIOUR,
)
kept(batch, _DRIVEN, reason="tours are part of the store's books", years=10)
erased(driver, status=Category.BEHAVIOUR)
neutral(delivery, "store_latitude", "store_longitude", "failure_reason")
neutral(method, "name")
neutral(scan, "description")
neutral(zone, "name", "postal_codes")
