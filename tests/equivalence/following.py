"""What can be followed: the subscription, who follows, and the changes that he hears of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Followed:
    """A subscription, and the mutations that make its events; their variables read as in the files of operations.

    `$position` is the cursor from before the changes, `$mine` what the follower has. Who resumes follows once more, after the first event.
    """

    name: str
    document: str
    variables: dict[str, Any]
    person: str = "buyer"
    changes: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    events: int = 1
    refused: tuple[str, ...] = ()
    resumes: bool = False


SAY = """mutation($id: ID!, $key: String!, $body: String!) {
  sendMessage(input: {conversationId: $id, clientId: $key, body: $body}) { __typename } }"""
CONVERSATION = {"id": "$conversation.0"}
SINCE = {"after": "$position"}
FILL = "mutation($sku: String!) { addToCart(input: {lines: [{sku: $sku}]}) { __typename } }"

FOLLOWED = (
    Followed(
        "messages with what other subgraphs know",
        """subscription($id: ID!, $after: String) { messageReceived(conversationId: $id, after: $after) { cursor message {
          body side sender { displayName } conversation { product { sku rating { total } stock { stores } } } } } }""",
        {**CONVERSATION, **SINCE},
        changes=tuple(("seller", SAY, {**CONVERSATION, "key": f"f-{n}", "body": f"Word {n}"}) for n in range(3)),
        events=3,
        resumes=True,
    ),
    Followed(
        "a cart with its products",
        """subscription($id: ID!, $after: String) { cartUpdated(id: $id, after: $after) { cursor cart { units lines { sku quantity product { name rating { total } }
          store { province { name } } } } } }""",
        {"id": "$mine.myCart.id", **SINCE},
        person="admin",
        changes=(("admin", FILL, {"sku": "$shelved.2"}),),
    ),
    Followed(
        "an order as it stands",
        """subscription($id: ID!) { orderStatusChanged(orderId: $id) { order { orderNumber state
          lines { product { sku } } customer { displayName } } } }""",
        {"id": "$order.0"},
    ),
    Followed(
        "a flash sale as it stands",
        "subscription($id: ID!) { flashSaleUpdated(id: $id) { name items { sku sold price { amountMinor } } } }",
        {"id": "$flash.0"},
    ),
    Followed(
        "an import that is over",
        "subscription($id: ID!) { importProgress(jobId: $id) { state processed errors(first: 1) { totalCount } } }",
        {"id": "$import.0"},
        person="admin",
    ),
    Followed(
        "a conversation of others",
        "subscription($id: ID!) { messageReceived(conversationId: $id) { message { body } } }",
        CONVERSATION,
        person="admin",
        refused=("NOT_FOUND",),
    ),
    Followed(
        "an order that there is not",
        "subscription($id: ID!) { orderStatusChanged(orderId: $id) { order { state } } }",
        {"id": "$nowhere"},
        refused=("NOT_FOUND",),
    ),
    Followed(
        "somebody's messages as a guest",
        "subscription { messageReceived { message { body } } }",
        {},
        person="guest",
        refused=("UNAUTHENTICATED",),
    ),
    Followed(
        "a board as a buyer",
        "subscription($id: ID!) { dispatchBoard(storeId: $id) { event } }",
        {"id": "$store.0"},
        refused=("FORBIDDEN",),
    ),
    Followed(
        "nothing that there is",
        "subscription { nothingAtAll { cursor } }",
        {},
        refused=("GRAPHQL_VALIDATION_FAILED",),
    ),
)
