"""AWS Secrets Manager. Lists tell the current version without a value; reads are batches of 20.

A batch cannot ask for a version, so what comes with another one than was listed is read again by itself. Each
entry of a batch's ``Errors`` is one secret's fault, and one that is in neither part is read by itself, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bulkseed.sources.kinds.shared.aws import AwsSource, fault_of_code
from bulkseed.sources.mapping import relative
from bulkseed.sources.protocol import Content, Reference, SourceFault


class AwsSecretsManager(AwsSource):
    """The secrets of one account and region, below a prefix."""

    SERVICE = "secretsmanager"
    BATCH = 20
    PINS = True

    _batches = True

    def list_all(self) -> Iterator[Reference]:
        """Yield every secret in the order of the store's pages, those to be deleted included."""
        wanted: dict[str, Any] = {"MaxResults": 100, "IncludePlannedDeletion": True, "SortOrder": "asc"}
        if self.spec.path:
            wanted["Filters"] = [{"Key": "name", "Values": [self.spec.path]}]  # of prefixes
        while True:
            page = self.patiently(partial(self.call, "list_secrets", **wanted))
            for entry in page["SecretList"]:
                path = relative(entry["Name"], self.spec.path)
                if path is not None:
                    yield _reference(path, entry)
            if not page.get("NextToken"):
                return
            wanted["NextToken"] = page["NextToken"]

    def named(self, path: str) -> Reference:
        """Return what reads a name."""
        return Reference(path, handle=path)

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read at the listed versions, by batch where that is allowed."""
        found: dict[str, Content | SourceFault] = {}
        if self._batches and len(references) > 1:
            try:
                found = self._batch([reference.handle for reference in references])
            except SourceFault as fault:
                if fault.code != "Source.Denied":
                    raise
                self._batches = False
        return [
            self._single(reference) if _is_other(found.get(reference.handle), reference) else result
            for reference in references
            for result in [found.get(reference.handle) or SourceFault("NotFound")]
        ]

    def _batch(self, handles: list[str]) -> dict[str, Content | SourceFault]:
        answer = self.call("batch_get_secret_value", SecretIdList=list(dict.fromkeys(handles)))
        found: dict[str, Content | SourceFault] = {
            handle: _content(value)
            for value in answer.get("SecretValues", ())
            for handle in (value["ARN"], value.get("Name", ""))
        }
        for failed in answer.get("Errors", ()):
            found[failed.get("SecretId", "")] = fault_of_code(str(failed.get("ErrorCode", "")))
        return found

    def _single(self, reference: Reference) -> Content | SourceFault:
        version = {"VersionId": reference.version} if reference.version else {}
        try:
            return _content(self.call("get_secret_value", SecretId=reference.handle, **version))
        except SourceFault as fault:
            if fault.passing or fault.code == "Source.Credentials":
                raise
            return fault


def _is_other(found: Content | SourceFault | None, reference: Reference) -> bool:
    """Tell whether a batch did not bring the version that was listed."""
    wanted = reference.version
    return found is None or (isinstance(found, Content) and wanted is not None and found.version != wanted)


def _content(value: dict[str, Any]) -> Content:
    text = value.get("SecretString")
    return Content(text if text is not None else value.get("SecretBinary") or b"", value.get("VersionId"))


def _reference(path: str, entry: dict[str, Any]) -> Reference:
    stages: dict[str, list[str]] = entry.get("SecretVersionsToStages") or {}
    current = next((version for version, names in stages.items() if "AWSCURRENT" in names), None)
    problem = None
    if entry.get("DeletedDate"):
        problem = "is deleted: it is in its recovery window"
    elif entry.get("OwningService"):
        problem = "is managed by another service, which rotates it there"
    elif current is None:
        problem = "has no current version"
    changed = entry.get("LastChangedDate") or entry.get("CreatedDate")
    return Reference(
        path,
        current,
        problem,
        changed.timestamp() if changed else None,
        handle=entry["ARN"],
        tags={tag["Key"]: tag["Value"] for tag in entry.get("Tags") or ()},
        description=entry.get("Description") or None,
    )
