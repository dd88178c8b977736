"""AWS as a test has it: pages and parts of batches that moto's server does not show.

The vendor's client is what drives it. Shapes are those of the API references: ListSecrets,
BatchGetSecretValue, GetSecretValue of Secrets Manager; GetParametersByPath of Systems Manager.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.json_server import Answer, Asked, json_server

Body = dict[str, Any]
VERSION, OTHER = "1" * 32, "2" * 32


class FakeAws:
    """Answers operations by functions, and notes what was asked.

    Attributes:
        secrets: name → text; each is of one version.
        errors: name → the code with which a batch refuses it.
        left_out: names of which a batch says nothing.
        stale: names that a batch gives in another version than the listed one.
        batches: whether batches are allowed at all.
    """

    def __init__(self, secrets: dict[str, str]) -> None:
        self.secrets = secrets
        self.errors: dict[str, str] = {}
        self.left_out: set[str] = set()
        self.stale: set[str] = set()
        self.batches = True
        self.asked: list[str] = []
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        """Return the answer to an operation."""
        operation = str(asked.headers["X-Amz-Target"]).rpartition(".")[2]
        self.asked.append(operation)
        handlers: dict[str, Callable[[Body], Answer]] = {
            "ListSecrets": self._list,
            "BatchGetSecretValue": self._batch,
            "GetSecretValue": self._single,
            "GetParametersByPath": _parameters,
        }
        return handlers[operation](json.loads(asked.body))

    def _list(self, body: Body) -> Answer:
        start = int(body.get("NextToken") or 0)
        names = sorted(self.secrets)
        page = [
            {"ARN": _arn(name), "Name": name, "SecretVersionsToStages": {VERSION: ["AWSCURRENT"]}}
            for name in names[start : start + body["MaxResults"]]
        ]
        end = start + len(page)
        return 200, {}, {"SecretList": page, **({"NextToken": str(end)} if end < len(names) else {})}

    def _batch(self, body: Body) -> Answer:
        if not self.batches:
            return 400, {}, {"__type": "AccessDeniedException", "Message": "canary-message of the store"}
        values, errors = [], []
        for arn in body["SecretIdList"]:
            name = arn.partition(":secret:")[2]
            if code := self.errors.get(name):
                errors.append({"SecretId": arn, "ErrorCode": code, "Message": "canary-message of the store"})
            elif name not in self.left_out:
                values.append(_value(name, self.secrets[name], OTHER if name in self.stale else VERSION))
        return 200, {}, {"SecretValues": values, "Errors": errors}

    def _single(self, body: Body) -> Answer:
        name = body["SecretId"].partition(":secret:")[2]
        return 200, {}, _value(name, self.secrets[name], body["VersionId"])


def _parameters(body: Body) -> Answer:
    """Return a page with nothing in it, which is not the last."""
    if "NextToken" not in body:
        return 200, {}, {"Parameters": [], "NextToken": "more"}
    found = {"Name": "/prod/db", "Type": "SecureString", "Value": "sealed", "Version": 3}
    return 200, {}, {"Parameters": [found]}


def _arn(name: str) -> str:
    return f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}"


def _value(name: str, text: str, version: str) -> Body:
    return {"ARN": _arn(name), "Name": name, "VersionId": version, "SecretString": text}


@contextmanager
def fake_aws(secrets: dict[str, str]) -> Iterator[FakeAws]:
    """Run it with these secrets."""
    aws = FakeAws(secrets)
    with json_server(aws.answer) as aws.url:
        yield aws
