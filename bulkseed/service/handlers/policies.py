"""Policies of secrets and keys: read and replaced here, evaluated in `bulkseed.service.access.policies`."""

from __future__ import annotations

import orjson

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.wire.actions import get_key_policy, get_secret_policy, set_key_policy, set_secret_policy
from bulkseed.wire.fault import broken_rule, invalid_parameter
from bulkseed.wire.validation.parameters import parameter_problems

NAME = "default"  # SetSecretPolicy page: there is no other one


def get_of_secret(context: Context, asked: get_secret_policy.Request, /) -> get_secret_policy.Reply | Fault:
    """Return the policy of a secret."""
    secret = context.find_live(asked.secret_name)
    if refusal := _name_problem(asked.policy_name):
        return refusal
    if isinstance(secret, Fault):
        return secret
    return get_secret_policy.Reply(context.request_id, secret.policy or _default(context))


def set_of_secret(context: Context, asked: set_secret_policy.Request, /) -> set_secret_policy.Reply | Fault:
    """Replace the policy of a secret."""
    if refusal := _name_problem(asked.policy_name) or _problem(asked.policy):
        return refusal
    secret = context.find_live(asked.secret_name)
    if isinstance(secret, Fault):
        return secret
    secret.policy, secret.updated = asked.policy, context.now
    context.service.store.save_secret(secret)
    return set_secret_policy.Reply(context.request_id)


def get_of_key(context: Context, asked: get_key_policy.Request, /) -> get_key_policy.Reply | Fault:
    """Return the policy of a key."""
    if refusal := _name_problem(asked.policy_name):
        return refusal
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Fault):
        return key
    return get_key_policy.Reply(context.request_id, key.policy or _default(context))


def set_of_key(context: Context, asked: set_key_policy.Request, /) -> set_key_policy.Reply | Fault:
    """Replace the policy of a key."""
    if refusal := _name_problem(asked.policy_name) or _problem(asked.policy):
        return refusal
    key = context.service.keys.find(asked.key_id)
    if isinstance(key, Fault):
        return key
    key.policy = asked.policy
    context.service.keys.save(key)
    return set_key_policy.Reply(context.request_id)


def _name_problem(name: str | None) -> Fault | None:
    return None if name in (None, NAME) else invalid_parameter("PolicyName")


def _problem(policy: str) -> Fault | None:
    if not policy:
        return invalid_parameter("Policy", "It is empty.")
    for problem in parameter_problems("Policy", policy):
        return broken_rule("Policy", problem)
    return None


def _default(context: Context) -> str:
    """Return the policy of what was made without one: the account itself may do everything."""
    statement = {
        "Sid": "kms default policy",
        "Effect": "Allow",
        "Principal": {"RAM": [f"acs:ram::{context.service.account.id}:root"]},
        "Action": ["kms:*"],
        "Resource": ["*"],
    }
    return orjson.dumps({"Version": "1", "Statement": [statement]}).decode()
