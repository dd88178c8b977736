"""Faults on the wire: the errors that the service names, and reading the ones that arrive.

`FAULTS` holds code → status and message (API metadata 2024-06, CreateSecret page, common error codes).
Reading accepts any status and any bytes: JSON, XML, a proxy's HTML, nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from bulkseed.model import Fault
from bulkseed.wire.message import Response
from bulkseed.wire.render import content_type, render

FAULTS: dict[str, tuple[int, str]] = {
    "DryRunOperationError": (400, "The request is valid, but it is a dry run."),
    "Forbidden.AliasNotFound": (404, "The specified Alias is not found."),
    "Forbidden.DKMSInstanceNotFound": (403, "The specified DKMS Instance is not found."),
    "Forbidden.KeyNotFound": (404, "The specified Key is not found."),
    "Forbidden.KeyVersionNotFound": (404, "The specified KeyVersion is not found."),
    "Forbidden.NoPermission": (403, "You are not authorized to perform the operation."),
    "Forbidden.ResourceNotFound": (404, "The resource is not found."),
    "InternalFailure": (500, "An internal error occurred."),
    "InvalidAction.NotFound": (404, "Specified api is not found, please check your url and method."),
    "InvalidParameter": (400, "The specified parameter is invalid."),
    "InvalidVersion": (400, "Specified parameter Version is not valid."),
    "MissingParameter": (400, "A parameter is needed but not provided."),
    "ParseRequestParameterException": (400, "The request parameters cannot be read."),
    "Rejected.Disabled": (409, "The request was rejected because the key state is disabled."),
    "Rejected.InvalidRequest": (400, "param mismatch"),
    "Rejected.LimitExceeded": (400, "The secret quota is exceeded."),
    "Rejected.PendingDeletion": (409, "The request was rejected because the key is pending deletion."),
    "Rejected.ResourceExist": (409, "The resource already exists."),
    "Rejected.ResourceInDeleteWindow": (409, "The secret is planned to be deleted."),
    "Rejected.ResourceInUse": (409, "restore normal secret"),
    "Rejected.StateModifiedFailed": (409, "The state of the key does not allow this operation."),
    "Rejected.Throttling": (429, "The QPS upper limit is exceeded."),
    "Rejected.UnsupportedOperation": (400, "secret stages in unnormal status"),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "UnsupportedHTTPMethod": (403, "This HTTP method is not supported."),
    "UnsupportedOperation": (400, "This action is not supported."),
}

_READ_AT_MOST = 65_536
_XML_FIELD = re.compile(r"<(Code|Message|RequestId)>([^<]*)</")


def fault(code: str, message: str | None = None) -> Fault:
    """Return the service's fault `code`, with its documented status and message."""
    status, text = FAULTS[code]
    return Fault(code, status, text if message is None else message)


def missing_parameter(name: str) -> Fault:
    """Return the fault for a required parameter that is absent (common error codes)."""
    return fault("MissingParameter", f'The parameter "{name}" is needed but not provided.')


def invalid_parameter(name: str, why: str = "") -> Fault:
    """Return the fault for a parameter that breaks a rule; `why` never carries the parameter's text."""
    text = f'The specified parameter "{name}" is not valid.'
    return fault("InvalidParameter", f"{text} {why}" if why else text)


_PREDICATE = re.compile(r"(\w+ \d+)?(?:: )?((?:has|is|may|must) .*)", re.DOTALL)


def broken_rule(name: str, problem: str) -> Fault:
    """Return the fault for a parameter with a problem that validation has found, as a sentence.

    A problem is what is said of the parameter (``is missing``), of an item of its list (``tag 2: must be an
    object``), or of a part that it names (``TagKey is missing``).
    """
    said = _PREDICATE.fullmatch(problem)
    sentence = f"{said[1] or 'It'} {said[2]}." if said else f"{problem}."
    return invalid_parameter(name, sentence[0].upper() + sentence[1:])


def encode_fault(fault: Fault, format: str = "JSON") -> bytes:  # noqa: A002  # the parameter's name in the API
    """Return the error body that KMS's pages print: HttpStatus, Code, Message, RequestId."""
    document = {
        "HttpStatus": fault.status,
        "Code": fault.code,
        "Message": fault.message,
        "RequestId": fault.request_id or "",
    }
    return render(document, format)


def respond(fault: Fault, format: str = "JSON") -> Response:  # noqa: A002  # the parameter's name in the API
    """Return `fault` as an HTTP response, with ``x-acs-retry-after`` in milliseconds when it has one."""
    headers = {"content-type": content_type(format)}
    if fault.request_id is not None:
        headers["x-acs-request-id"] = fault.request_id
    if fault.retry_after is not None:
        headers["x-acs-retry-after"] = str(max(1, round(fault.retry_after * 1000)))
    return Response(fault.status, headers, encode_fault(fault, format))


def decode_fault(response: Response) -> Fault:
    """Read any reply as a fault; never raises.

    A body without a code gets ``HTTP<status>`` as its code, or ``Unreadable`` if it is JSON, cut off or odd.
    """
    fields = _read_json(response.body) or _read_xml(response.body)
    return Fault(
        code=fields.get("Code")
        or ("Unreadable" if response.body.startswith(b"{") else f"HTTP{response.status}"),
        status=response.status,
        message=fields.get("Message") or "",
        request_id=fields.get("RequestId"),
        retry_after=_retry_after(response.headers),
    )


def _read_json(body: bytes) -> dict[str, str]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(document, dict):
        return {}
    # The SDK also reads the lower-case spellings.
    spellings = (("Code", "code"), ("Message", "message"), ("RequestId", "requestId"))
    found = {name: document.get(name, document.get(other)) for name, other in spellings}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def _read_xml(body: bytes) -> dict[str, str]:
    from html import unescape  # 2 ms, and nearly no service sends XML

    text = body[:_READ_AT_MOST].decode("utf-8", "replace")
    return {name: unescape(value) for name, value in _XML_FIELD.findall(text)}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``x-acs-retry-after``, a count of milliseconds (tea-openapi 0.4.6)."""
    text = headers.get("x-acs-retry-after", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return None
    return int(text) / 1000 or None
