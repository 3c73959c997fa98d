"""The calls of `account_calls`, grouped as `groups` does the others."""

from __future__ import annotations

from . import account_calls as calls
from .groups import AsyncGroup, AsyncMethod, Group, Method


class ApiKeys(Group):
    """Your API keys."""

    list = Method(calls.api_key_list)
    create = Method(calls.api_key_create)
    revoke = Method(calls.api_key_revoke)


class AsyncApiKeys(AsyncGroup):
    """Your API keys."""

    list = AsyncMethod(calls.api_key_list)
    create = AsyncMethod(calls.api_key_create)
    revoke = AsyncMethod(calls.api_key_revoke)


class Users(Group):
    """Accounts."""

    me = Method(calls.who_am_i)
    list = Method(calls.user_list)
    get = Method(calls.user_get)
    create = Method(calls.user_create)
    update = Method(calls.user_update)
    delete = Method(calls.user_delete)
    set_password = Method(calls.user_set_password)


class AsyncUsers(AsyncGroup):
    """Accounts."""

    me = AsyncMethod(calls.who_am_i)
    list = AsyncMethod(calls.user_list)
    get = AsyncMethod(calls.user_get)
    create = AsyncMethod(calls.user_create)
    update = AsyncMethod(calls.user_update)
    delete = AsyncMethod(calls.user_delete)
    set_password = AsyncMethod(calls.user_set_password)


class Roles(Group):
    """What accounts may do."""

    list = Method(calls.role_list)
    permissions = Method(calls.role_permissions)
    create = Method(calls.role_create)
    update = Method(calls.role_update)
    delete = Method(calls.role_delete)


class AsyncRoles(AsyncGroup):
    """What accounts may do."""

    list = AsyncMethod(calls.role_list)
    permissions = AsyncMethod(calls.role_permissions)
    create = AsyncMethod(calls.role_create)
    update = AsyncMethod(calls.role_update)
    delete = AsyncMethod(calls.role_delete)


class Invitations(Group):
    """Invitations to register."""

    list = Method(calls.invitation_list)
    create = Method(calls.invitation_create)
    delete = Method(calls.invitation_delete)


class AsyncInvitations(AsyncGroup):
    """Invitations to register."""

    list = AsyncMethod(calls.invitation_list)
    create = AsyncMethod(calls.invitation_create)
    delete = AsyncMethod(calls.invitation_delete)


class Quotas(Group):
    """What users may have."""

    get = Method(calls.quota_get)
    set = Method(calls.quota_set)


class AsyncQuotas(AsyncGroup):
    """What users may have."""

    get = AsyncMethod(calls.quota_get)
    set = AsyncMethod(calls.quota_set)


class Audit(Group):
    """Who did what."""

    list = Method(calls.audit_list)


class AsyncAudit(AsyncGroup):
    """Who did what."""

    list = AsyncMethod(calls.audit_list)
