"""What tenancy holds about people; what it says of tenants and stores is about companies."""

from data.personal import Category, erased, neutral
from data.tenancy.tables import assignment, province_territory, store, store_compliance, tenant

erased(assignment, role=Category.IDENTITY)
neutral(province_territory, "name")
neutral(
    store,
    "name",
    "phone",
    "email",
    "street",
    "city",
    "postal_code",
    "latitude",
    "longitude",
    "seo_title",
    "seo_description",
)
neutral(store_compliance, "note")
neutral(tenant, "name", "company_name", "contact_email", "contact_phone", "status_reason")
