"""AWS Systems Manager Parameter Store. Lists come by path without decryption; reads are batches of 10.

GetParametersByPath needs permission on the path alone, tells the version, and with ``WithDecryption`` off it
gives the ciphertext of a SecureString, which is dropped. A read ``name:version`` is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from bulkseed.sources.kinds.shared.aws import AwsSource
from bulkseed.sources.mapping import relative
from bulkseed.sources.protocol import Content, Reference, SourceFault


class AwsParameters(AwsSource):
    """The parameters of one account and region, below a path. ``types`` says which kinds are taken."""

    SERVICE = "ssm"
    OPTIONS = AwsSource.OPTIONS | {"types"}
    BATCH = 10
    PINS = True
    RATE = 10.0  # of 40 a second that all users of the account share (quota page of Parameter Store)

    def list_all(self) -> Iterator[Reference]:
        """Yield every parameter below the path."""
        types = self.spec.option("types", "SecureString").split(",")
        wanted: dict[str, Any] = {"Path": f"/{self.spec.path}", "Recursive": True, "WithDecryption": False}
        while True:
            page = self.patiently(partial(self.call, "get_parameters_by_path", MaxResults=10, **wanted))
            for entry in page["Parameters"]:
                path = relative(entry["Name"].strip("/"), self.spec.path)
                if path is not None and entry["Type"] in types:
                    changed = entry.get("LastModifiedDate")
                    yield Reference(
                        path,
                        f"v{entry['Version']}",
                        changed_at=changed.timestamp() if changed else None,
                        handle=entry["Name"],
                    )
            if not page.get("NextToken"):  # a page may be empty and not the last
                return
            wanted["NextToken"] = page["NextToken"]

    def named(self, path: str) -> Reference:
        """Return what reads a parameter."""
        return Reference(path, handle=f"/{path}")

    def read(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        """Read at the listed versions; where the batch is denied, one by one."""
        try:
            return self._batch(references)
        except SourceFault as fault:
            if fault.code != "Source.Denied" or len(references) == 1:
                raise
        found: list[Content | SourceFault] = []
        for reference in references:
            try:
                found += self._batch([reference])
            except SourceFault as fault:
                if fault.code != "Source.Denied":
                    raise
                found.append(fault)
        return found

    def _batch(self, references: Sequence[Reference]) -> list[Content | SourceFault]:
        names = list(dict.fromkeys(map(_selector, references)))
        answer = self.call("get_parameters", Names=names, WithDecryption=True)
        found = {
            asked: Content(entry["Value"], f"v{entry['Version']}")
            for entry in answer.get("Parameters", ())
            for asked in (entry["Name"], f"{entry['Name']}:{entry['Version']}")
        }
        return [found.get(_selector(reference)) or SourceFault("NotFound") for reference in references]


def _selector(reference: Reference) -> str:
    version = (reference.version or "").removeprefix("v")
    return f"{reference.handle}:{version}" if version else reference.handle
