"""What a page of ListSecrets costs the local KMS, however many secrets there are and whichever page it is.

    python -m benchmarks.list_pages [--secrets 1000000]

The service runs in this process, without HTTP; its secrets are put into the database directly, on disk.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.common import publish
from benchmarks.peers import definition
from bulkseed.service.build import build_kms
from bulkseed.service.kms import Kms
from bulkseed.service.options import ServiceOptions
from bulkseed.service.storage.store import CURRENT, StoredSecret
from bulkseed.wire.actions import list_secrets
from bulkseed.wire.signing.verify import SIGNATURES

PAGE = 100
TIMES = 21
BATCH = 5_000


def fill(kms: Kms, first: int, last: int) -> None:
    """Add the secrets numbered from `first` to before `last`; no list looks at their values."""
    store, now = kms._service.store, time.time()  # noqa: SLF001  # the API would take minutes
    for number in range(first, last):
        it = definition(number)
        secret = StoredSecret(
            id=None,
            name=it["SecretName"],
            generation="",
            type="Generic",
            key_id="none",
            stages={CURRENT: "v1"},
            created=now,
            updated=now,
            creator="1",
            description=it["Description"],
        )
        store.add_secret(secret)
        if number % BATCH == 0:
            kms.commit()
    kms.commit()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", type=int, default=1_000_000)
    options = parser.parse_args()
    figures: list[tuple[int, int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        kms, credentials = build_kms(
            ServiceOptions(data_dir=Path(name) / "kms", create_qps=0, read_qps=0, manage_qps=0)
        )
        signer = SIGNATURES["acs3"]("kms.test", credentials)

        def measure(secrets: int, page: int) -> None:
            times = []
            for nonce in range(TIMES):
                call = list_secrets.Request(page_number=page, page_size=PAGE).encode()
                request = signer.sign(call, time.time(), f"{secrets}-{page}-{nonce}")
                began = time.process_time()
                response = kms.handle(request, time.time())
                times.append((time.process_time() - began) * 1e3)
                assert response.body.count(b'"SecretName"') == PAGE  # noqa: S101  # or the time means nothing
            figures.append((secrets, page, statistics.median(times)))

        fill(kms, 0, PAGE)
        measure(PAGE, 1)
        fill(kms, PAGE, options.secrets)
        last = options.secrets // PAGE
        for page in dict.fromkeys((1, 2, max(1, last // 2), last)):
            measure(options.secrets, page)
        kms.close()
    lines = ["| secrets | page of 100 | CPU ms |", "|---|---|---|"]
    lines += [f"| {secrets:,} | {page:,} | {ms:.2f} |" for secrets, page, ms in figures]
    publish("list_pages", "Pages of ListSecrets", "\n".join(lines), figures)


if __name__ == "__main__":
    main()
