"""Runs a scenario with the vendor's SDK (alibabacloud_kms20160120); see test_witnesses.py."""

import json
import re
import sys
from typing import Any

from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client

try:
    from alibabacloud_tea_openapi.models import Config
except ImportError:  # 1.0: RPC 1.0 alone, by another library, and a reply is its body
    from alibabacloud_tea_rpc.models import Config


def snake(name: str) -> str:
    """Return SecretName as secret_name."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def main() -> None:
    """Read the scenario from standard input, write one answer a step."""
    given = json.load(sys.stdin)
    config = Config(
        endpoint=given["host"], protocol="http", region_id="cn-hangzhou",
        access_key_id=given["id"], access_key_secret=given["secret"],
    )  # fmt: skip
    if given["signature"] == "rpc1":
        config.signature_algorithm = "v2"
    client = Client(config)

    def call(action: str, parameters: dict[str, str]) -> dict[str, Any]:
        request = getattr(models, f"{action}Request")(**{snake(k): v for k, v in parameters.items()})
        reply = getattr(client, snake(action))(request)
        body: dict[str, Any] = getattr(reply, "body", reply).to_map()
        return body

    known: dict[str, Any] = {}
    answers: list[Any] = []
    for action, parameters in given["steps"]:
        try:
            body = call(action, {k: known.get(v[1:], v) if v[0] == "$" else v for k, v in parameters.items()})
            known.update(body, **body.get("KeyMetadata", {}))
            answers.append([None, body])
        except Exception as error:  # noqa: BLE001  # each version has its own classes
            answers.append([getattr(error, "code", None) or type(error).__name__, {}])
    print(json.dumps(answers))  # noqa: T201  # the answer


main()
