"""The options that place a run's targets on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import click

from bulkseed.cli.arguments import Number, option
from bulkseed.errors import UsageError

if TYPE_CHECKING:
    from bulkseed.cluster.coordinator import ClusterOptions
    from bulkseed.cluster.dask_cluster import TlsFiles

LeaseOption = Annotated[
    float,
    option(
        "--lease",
        type=Number(1, 3600),
        default=30.0,
        metavar="SECONDS",
        help="A target of a lost worker waits for so long until it goes on at another one.",
    ),
]
_FILE = click.Path(exists=True, dir_okay=False)


@dataclass(slots=True, frozen=True)
class ClusterArguments:
    """Which cluster, and how it is talked to."""

    cluster: Annotated[
        str | None,
        option(
            "--cluster",
            metavar="ADDRESS",
            help="Run the targets on the workers of this Dask scheduler (tls://host:8786), or on local ones.",
        ),
    ]
    tls_ca: Annotated[
        str | None, option("--tls-ca", type=_FILE, metavar="FILE", help="The cluster's authority (PEM).")
    ]
    tls_cert: Annotated[
        str | None, option("--tls-cert", type=_FILE, metavar="FILE", help="Our certificate there (PEM).")
    ]
    tls_key: Annotated[str | None, option("--tls-key", type=_FILE, metavar="FILE", help="Its key (PEM).")]

    @property
    def tls(self) -> TlsFiles:
        """The files of the cluster's TLS."""
        from bulkseed.cluster.dask_cluster import TlsFiles

        return TlsFiles(self.tls_ca, self.tls_cert, self.tls_key)

    def options(self, lease: float, source_rate: float | None = None) -> ClusterOptions | None:
        """Return where the cluster is, if one is meant."""
        if self.cluster is None:
            return None
        from bulkseed.cluster.coordinator import ClusterOptions

        return ClusterOptions(self.cluster, self.tls, lease, source_rate)

    def require_targets(self, *, many: bool) -> None:
        """Refuse a cluster for one target.

        Raises:
            UsageError: there is no targets file and no run folder.
        """
        if self.cluster is not None and not many:
            raise UsageError("--cluster places targets: name them with --targets FILE, or a run folder")
