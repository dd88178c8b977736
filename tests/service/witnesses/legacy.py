"""Runs a scenario with the vendor's legacy SDK (aliyun-python-sdk-core); see test_witnesses.py."""

import json
import sys
from typing import Any

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest


def main() -> None:
    """Read the scenario from standard input, write one answer a step."""
    given = json.load(sys.stdin)
    client = AcsClient(given["id"], given["secret"], "cn-hangzhou")

    def call(action: str, parameters: dict[str, str]) -> dict[str, Any]:
        request = CommonRequest(domain=given["host"], version="2016-01-20", action_name=action)
        request.set_protocol_type("http")
        request.set_method("POST")
        for name, value in parameters.items():
            request.add_query_param(name, value)
        body: dict[str, Any] = json.loads(client.do_action_with_exception(request))
        return body

    known: dict[str, Any] = {}
    answers: list[Any] = []
    for action, parameters in given["steps"]:
        try:
            body = call(action, {k: known.get(v[1:], v) if v[0] == "$" else v for k, v in parameters.items()})
            known.update(body, **body.get("KeyMetadata", {}))
            answers.append([None, body])
        except ServerException as error:
            answers.append([error.get_error_code(), {}])
    print(json.dumps(answers))  # noqa: T201  # the answer


main()
