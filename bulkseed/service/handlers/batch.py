"""BatchGetSecretValue: the values of up to 20 secrets, and the reasons for those that cannot be read."""

from __future__ import annotations

import orjson

from bulkseed.model import Fault
from bulkseed.service.context import Context
from bulkseed.service.handlers.secrets import get_secret_value
from bulkseed.wire.actions import batch_get_secret_value as batch
from bulkseed.wire.actions import get_secret_value as reading
from bulkseed.wire.fault import fault, invalid_parameter

SECRETS_MAX = 20  # SDK 3.3.1


def get_secret_values(context: Context, asked: batch.Request, /) -> batch.Reply | Fault:
    """Read each secret as GetSecretValue does, with its permissions (BatchGetSecretValue page)."""
    requests = _read(asked.secrets_list)
    if isinstance(requests, Fault):
        return requests
    account = context.service.account
    values, errors = [], []
    for request in requests:
        arn = account.secret_arn(account.secret_name(request.secret_name))
        if context.may("GetSecretValue", arn):
            answer = get_secret_value(context, request)
        else:
            answer = fault("Forbidden.NoPermission")
        if isinstance(answer, Fault):
            errors.append(batch.BatchError(answer.code, answer.status, answer.message, request.secret_name))
        else:
            values.append(answer)
    return batch.Reply(context.request_id, tuple(values), tuple(errors))


def _read(text: str) -> list[reading.Request] | Fault:
    try:
        items = orjson.loads(text)
    except orjson.JSONDecodeError:
        items = None
    if not isinstance(items, list) or not 1 <= len(items) <= SECRETS_MAX:
        return invalid_parameter("SecretsList", f"It must be a JSON array of 1 to {SECRETS_MAX} secrets.")
    requests = []
    for item in items:
        if not isinstance(item, dict):
            return invalid_parameter("SecretsList", "An item is no object.")
        texts = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in item.items()
        }
        if not all(isinstance(value, str) for value in texts.values()):
            return invalid_parameter("SecretsList", "A field is no text.")
        request = reading.Request.decode(
            {name: texts[name] for name in ("SecretName", "VersionId", "VersionStage", "FetchExtendedConfig")
             if name in texts}
        )  # fmt: skip
        if isinstance(request, Fault):
            return invalid_parameter("SecretsList", "An item lacks its SecretName, or a field is malformed.")
        requests.append(request)
    return requests
