"""Stages of a secret, each of which marks one version, and how many versions are kept."""

from __future__ import annotations

import re

from bulkseed.service.storage.store import CURRENT, PREVIOUS, Store, StoredSecret

VERSIONS_KEPT = 10  # API metadata: a Generic secret keeps at most 10 versions
STAGES_KEPT = 8  # API metadata
STAGE = re.compile(r"[0-9A-Za-z_/+=.@-]{1,64}")


def move_stage(stages: dict[str, str], stage: str, version_id: str) -> None:
    """Mark a version; a new ACSCurrent makes the version that it replaces ACSPrevious."""
    replaced = stages.get(stage)
    stages[stage] = version_id
    if stage == CURRENT and replaced is not None and replaced != version_id:
        stages[PREVIOUS] = replaced


def make_room(store: Store, secret: StoredSecret, stages: dict[str, str], keep: int) -> bool:
    """Drop the oldest version without a stage when more than `keep` are there; False if all have one."""
    versions = [version_id for version_id, _ in store.version_ids(secret)]
    if len(versions) <= keep:
        return True
    marked = set(stages.values())
    oldest = next((version_id for version_id in versions if version_id not in marked), None)
    if oldest is None:
        return False
    store.remove_version(secret, oldest)
    return True
