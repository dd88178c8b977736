"""Runs a scenario with the vendor's caching client (aliyun-secret-manager-client); see test_witnesses.py.

Values are read through the cache, everything else is sent by the legacy SDK below it. ``Refresh`` is the
cache's own.
"""

import json
import logging
import os
import sys
from typing import Any

from alibaba_cloud_secretsmanager_client.model.region_info import RegionInfo
from alibaba_cloud_secretsmanager_client.secret_manager_cache_client_builder import (
    SecretManagerCacheClientBuilder,
)
from alibaba_cloud_secretsmanager_client.service.default_secret_manager_client_builder import (
    DefaultSecretManagerClientBuilder,
)
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest


def main() -> None:
    """Read the scenario from standard input, write one answer a step."""
    logging.disable()
    given = json.load(sys.stdin)
    region = RegionInfo("cn-hangzhou", endpoint=given["host"])
    builder = DefaultSecretManagerClientBuilder().with_access_key(given["id"], given["secret"])
    cache = SecretManagerCacheClientBuilder.new_cache_client_builder(
        builder.add_region_info(region).build()
    ).build()
    credential = AccessKeyCredential(given["id"], given["secret"])
    client = AcsClient(credential=credential, region_id="cn-hangzhou", verify=False)

    def call(action: str, parameters: dict[str, str]) -> dict[str, Any]:
        if action == "GetSecretValue":
            found = cache.get_secret_info(parameters["SecretName"])
            return {"SecretData": found.secret_value, "VersionId": found.version_id}
        if action == "Refresh":
            return {"refreshed": cache.refresh_now(parameters["SecretName"])}
        request = CommonRequest(domain=given["host"], version="2016-01-20", action_name=action)
        request.set_protocol_type("https")
        request.set_method("POST")
        for name, value in parameters.items():
            request.add_query_param(name, value)
        body: dict[str, Any] = json.loads(client.do_action_with_exception(request))
        return body

    answers: list[Any] = []
    for action, parameters in given["steps"]:
        try:
            answers.append([None, call(action, parameters)])
        except ServerException as error:
            answers.append([error.get_error_code(), {}])
    sys.stdout.write(json.dumps(answers))
    sys.stdout.flush()
    os._exit(0)  # its scheduler's thread does not end


main()
