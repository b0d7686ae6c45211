"""Offering goods in a store, for oneself or for somebody else."""

from domain import catalog
from domain.catalog import Categories, CreateProduct, Product, ProductHistory, Products, Skus
from domain.identity.users import Users
from domain.kernel import NotFound, Work
from domain.tenancy import Stores


async def create_product(
    command: CreateProduct,
    work: Work,
    stores: Stores,
    users: Users,
    products: Products,
    categories: Categories,
    skus: Skus,
    history: ProductHistory,
) -> Product:
    """Make a product; a store that is named is one that the tenant has, and so is a seller.

    Raises: NotFound, Forbidden, AlreadyExists, InvalidInput, InvalidAttribute, CurrencyMismatch.
    """
    if command.store_id is not None and await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    product = await catalog.create_product(command, work, products, categories, skus, history)
    # Only now is it known that the caller may act for others at all.
    if product.seller_id != work.actor.user_id:
        await users.get(product.seller_id)
    return product
