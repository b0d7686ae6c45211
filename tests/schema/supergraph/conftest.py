import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Strawberry logs every error of an operation; here they are provoked on purpose."""
    logging.getLogger("strawberry.execution").disabled = True
    yield
    logging.getLogger("strawberry.execution").disabled = False
