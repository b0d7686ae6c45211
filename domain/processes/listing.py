"""Offering goods in a store."""

from domain import catalog
from domain.catalog import Categories, CreateProduct, Product, ProductHistory, Products, Skus
from domain.kernel import NotFound, Work
from domain.tenancy import Stores


async def create_product(
    command: CreateProduct,
    work: Work,
    stores: Stores,
    products: Products,
    categories: Categories,
    skus: Skus,
    history: ProductHistory,
) -> Product:
    """Make a product, in a store that the tenant has if one is named.

    Raises: NotFound, Forbidden, AlreadyExists, InvalidInput, InvalidAttribute, CurrencyMismatch.
    """
    if command.store_id is not None and await stores.get(command.store_id) is None:
        raise NotFound(kind="Store", id=str(command.store_id))
    return await catalog.create_product(command, work, products, categories, skus, history)
