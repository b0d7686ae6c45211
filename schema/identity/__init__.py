"""The identity subgraph: users, sessions, roles, and the door."""

import strawberry

from schema.identity.administration import AdministrationMutation, AdministrationQuery
from schema.identity.door import DoorMutation
from schema.identity.entities import User
from schema.identity.impersonation import ImpersonationMutation
from schema.identity.people import PeopleMutation, PeopleQuery
from schema.identity.privacy import PrivacyMutation, PrivacyQuery
from schema.kernel import make_subgraph


@strawberry.type
class Query(PeopleQuery, AdministrationQuery, PrivacyQuery):
    """What can be asked."""


@strawberry.type
class Mutation(DoorMutation, PeopleMutation, AdministrationMutation, PrivacyMutation, ImpersonationMutation):
    """What can be done."""


subgraph = make_subgraph(query=Query, mutation=Mutation, types=[User])
