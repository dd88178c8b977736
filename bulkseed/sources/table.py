"""Which kinds of source there are: scheme → class, imported when its scheme is named.

A package of somebody else adds a kind by an entry point of the group ``bulkseed.sources``: its name is the
scheme, its object a subclass of `bulkseed.sources.protocol.Source`.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points

from bulkseed.errors import UsageError, how_to_install
from bulkseed.sources.protocol import Source
from bulkseed.sources.spec import SourceSpec

SOURCES: dict[str, tuple[str, str]] = {
    "vault": ("bulkseed.sources.kinds.vault:Vault", "vault"),
    "aws-sm": ("bulkseed.sources.kinds.aws_secrets_manager:AwsSecretsManager", "aws"),
    "aws-ssm": ("bulkseed.sources.kinds.aws_parameters:AwsParameters", "aws"),
    "azure-kv": ("bulkseed.sources.kinds.azure_key_vault:AzureKeyVault", "azure"),
    "gcp-sm": ("bulkseed.sources.kinds.google_secret_manager:GoogleSecretManager", "google"),
    "kms": ("bulkseed.sources.kinds.kms:KmsSource", ""),
    "k8s": ("bulkseed.sources.kinds.kubernetes:Kubernetes", "kubernetes"),
    "k8s+file": ("bulkseed.sources.kinds.kubernetes_objects:KubernetesDump", "yaml"),
    "sops": ("bulkseed.sources.kinds.sops:Sops", ""),
    "dotenv": ("bulkseed.sources.kinds.dotenv_file:Dotenv", "dotenv"),
    "flat": ("bulkseed.sources.kinds.flat:Flat", ""),
    "bitwarden": ("bulkseed.sources.kinds.password_managers:Bitwarden", ""),
    "1pux": ("bulkseed.sources.kinds.password_managers:OnePassword", ""),
}
"""Scheme → where its class is, and the extra that it needs ("" for none)."""

GROUP = "bulkseed.sources"


def source_class(spec: SourceSpec) -> type[Source]:
    """Return the class of a source's kind.

    Raises:
        UsageError: there is no such kind, or the package that it needs is not installed.
    """
    for scheme in (spec.scheme, spec.scheme.partition("+")[0]):
        if scheme in SOURCES:
            where, extra = SOURCES[scheme]
            module, _, name = where.partition(":")
            try:
                found = getattr(import_module(module), name)
            except ImportError as error:
                if error.name and error.name.startswith("bulkseed"):
                    raise
                raise UsageError(
                    f"{spec.label}: this kind needs one more package: {how_to_install(extra)}"
                ) from None
            kind: type[Source] = found
            return kind
        for point in entry_points(group=GROUP, name=scheme):
            try:
                added = point.load()
            except Exception as error:  # noqa: BLE001  # whatever its modules raise
                why = f"cannot be imported ({type(error).__name__})"
                raise UsageError(f"{spec.label}: the package that adds {scheme} {why}") from None
            if isinstance(added, type) and issubclass(added, Source):
                return added
            raise UsageError(f"{spec.label}: the package that adds {scheme} has no Source there")
    raise UsageError(f"{spec.label}: there is no such kind of source{_hint(spec.scheme)}")


def _hint(scheme: str) -> str:
    known = sorted({*SOURCES, *(point.name for point in entry_points(group=GROUP))})
    meant = difflib.get_close_matches(scheme.partition("+")[0], known, n=1)
    return f": did you mean {meant[0]}?" if meant else f"; there are {', '.join(known)}"
