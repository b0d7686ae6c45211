"""What the edge says when it does not execute a request."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self


class Refusal(Exception):
    """A request that ends before execution, as typed GraphQL errors.

    Subclasses name the refusal; their `code` is the class name in SCREAMING_SNAKE.
    `status` is the HTTP status; where `graphql_level` is true it only holds for `application/graphql-response+json`,
    because a well-formed request answers 200 in the older `application/json`.

    Refusal
     ├── BadParameters, MissingDocument, PersistedQueryNotFound …   the request
     ├── SyntaxRefused, InvalidDocument, UnknownOperation …         the document
     ├── DepthLimitExceeded, CostLimitExceeded, RateLimited …       the limits
     └── AccessRefused                                              the caller
    """

    code: ClassVar[str] = "REFUSED"
    status: ClassVar[int] = 400
    graphql_level: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper()

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = extensions

    def again(self) -> Self:
        """A refusal to raise anew: a remembered one must not keep the frames of those it refused before."""
        fresh = type(self).__new__(type(self))
        fresh.args = self.args
        fresh.__dict__.update(self.__dict__)
        return fresh

    @property
    def http_status(self) -> int:
        return self.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    def errors(self) -> Sequence[Mapping[str, Any]]:
        return [{"message": self.message, "extensions": {"code": self.code, **self.extensions}}]


class TransportRefusal(Refusal):
    """A refusal whose HTTP status holds whatever media type the client asked for."""

    graphql_level = False
