"""The identity subgraph: users, sessions, roles, and the door."""

import strawberry

from schema.identity.administration import AdministrationMutation, AdministrationQuery
from schema.identity.api_keys import ApiKeyMutation, ApiKeyQuery
from schema.identity.door import DoorMutation
from schema.identity.entities import User
from schema.identity.factors import FactorMutation, FactorQuery
from schema.identity.impersonation import ImpersonationMutation
from schema.identity.people import PeopleMutation, PeopleQuery
from schema.identity.privacy import PrivacyMutation, PrivacyQuery
from schema.identity.recovery import RecoveryMutation
from schema.identity.sign_on import SignOnMutation, SignOnQuery
from schema.kernel import make_subgraph


@strawberry.type
class Query(PeopleQuery, FactorQuery, SignOnQuery, ApiKeyQuery, AdministrationQuery, PrivacyQuery):
    """What can be asked."""


@strawberry.type
class Mutation(
    DoorMutation,
    RecoveryMutation,
    FactorMutation,
    SignOnMutation,
    PeopleMutation,
    ApiKeyMutation,
    AdministrationMutation,
    PrivacyMutation,
    ImpersonationMutation,
):
    """What can be done."""


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[User])
