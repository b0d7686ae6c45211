"""Putting people to work in the stores of a tenant."""

from domain.identity.users import Users
from domain.kernel import Work
from domain.tenancy import Assignment, Assignments, AssignUser, Stores, existing_store


async def assign_user(
    command: AssignUser, work: Work, users: Users, stores: Stores, assignments: Assignments
) -> Assignment:
    """Give a user of the tenant a role in one of its stores, or in the whole tenant.

    Raises: NotFound.
    """
    if command.store_id is not None:
        await existing_store(stores, command.store_id, work)
    await users.get(command.user_id)
    assignment = await assignments.find(command.store_id, command.user_id)
    if assignment is None:
        assignment = Assignment(tenant_id=work.tenant_id, store_id=command.store_id, user_id=command.user_id)
        await assignments.add(assignment)
    assignment.put(command.role)
    return assignment
