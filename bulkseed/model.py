"""The nouns every floor shares: definitions, targets, replies, rows and the summary.

Floor 0: nothing here touches a socket, a clock or a disk.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn, Protocol

from bulkseed.errors import CredentialsError, UnfinishedError

SignatureName = str
"""A row of `bulkseed.wire.signing.verify.SIGNATURES`."""


class SecretValue:
    """A value that prints as ``***`` everywhere; only `reveal` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plaintext. Call it where the bytes are sent or compared, and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "SecretValue(***)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and self._text == other._text

    __hash__ = None  # type: ignore[assignment]  # a hash is computed from the value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret value cannot be pickled")


class UnreadValue(SecretValue):
    """A value that is still at its source.

    Asking for its text raises, so it can never be sent as an empty one. `read` asks the source, at its pace,
    for the version that was listed. It makes one try: whether to repeat it is the caller's decision.
    `at` gives the value of another version, None where the source cannot.
    """

    __slots__ = ("at", "read")

    def __init__(
        self,
        read: Callable[[], Awaitable[ReadValue | Fault | NoReply]],
        at: Callable[[str], UnreadValue | None] = lambda _version: None,
    ) -> None:
        self.read = read
        self.at = at

    def reveal(self) -> str:
        """Raise: there is no text yet."""
        raise RuntimeError("this value has not been read at its source yet")

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None


class Origin(NamedTuple):
    """Where a definition was read: a source, and the place within it.

    `manifest`: the manifest's name as given, or the address of a store. `line`: the line (or item) of a
    manifest, counted from 1; the path within a store.
    """

    manifest: str
    line: int | str

    def __str__(self) -> str:
        return f"{self.manifest}:{self.line}"


@dataclass(slots=True)
class SecretDefinition:
    """One secret to create: the parameters of CreateSecret, checked, and where they were read.

    `name` is what the secret is filed under: for RAMCredentials, where `$Auto` is asked for, the name that
    the service generates. `tags`, `extended_config` and `policy` are the API's JSON text. `data` never
    prints; `generated` says that it was made up for this run, so that no later one can know it.
    """

    name: str
    data: SecretValue
    version_id: str
    origin: Origin
    data_type: str | None = None
    encryption_key_id: str | None = None
    dkms_instance_id: str | None = None
    description: str | None = None
    tags: str | None = None
    secret_type: str | None = None
    extended_config: str | None = None
    enable_automatic_rotation: bool | None = None
    rotation_interval: str | None = None
    policy: str | None = None
    generated: bool = False


@dataclass(slots=True, frozen=True)
class InvalidLine:
    """A manifest line that is not a definition: every reason, in our words, never the value."""

    origin: Origin
    reasons: tuple[str, ...]
    name: str | None = None
    version_id: str | None = None


ManifestEntry = SecretDefinition | InvalidLine


@dataclass(slots=True, frozen=True)
class Credentials:
    """An access key, with a security token and its expiry (epoch seconds) when it is temporary."""

    access_key_id: str
    access_key_secret: SecretValue
    security_token: SecretValue | None = None
    expires_at: float | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Credentials:
        """Read ``ALIBABA_CLOUD_ACCESS_KEY_ID``, ``_ACCESS_KEY_SECRET`` and ``_SECURITY_TOKEN``.

        `environ`: None takes the process's own.

        Raises:
            CredentialsError: the id or the secret is missing, or one has white space in it.
        """
        environ = os.environ if environ is None else environ
        key_id = environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID")
        secret = environ.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
        token = environ.get("ALIBABA_CLOUD_SECURITY_TOKEN")
        if not key_id or not secret:
            raise CredentialsError(
                "no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
            )
        for name, text in (
            ("ACCESS_KEY_ID", key_id),
            ("ACCESS_KEY_SECRET", secret),
            ("SECURITY_TOKEN", token),
        ):
            if text and any(character.isspace() for character in text):
                raise CredentialsError(
                    f"ALIBABA_CLOUD_{name} has white space in it, such as a newline at its end: remove that"
                )
        return cls(key_id, SecretValue(secret), SecretValue(token) if token else None)


class CredentialSource(Protocol):
    """Gives fresh credentials, for keys that expire during a run of hours."""

    def fetch(self) -> Credentials:
        """Return credentials valid now. May block: the engine calls it in a thread.

        Raises:
            CredentialsError: none can be had.
        """
        ...


@dataclass(slots=True, frozen=True)
class Target:
    """The service that a run talks to."""

    endpoint: str
    region: str
    credentials: Credentials | CredentialSource = field(repr=False)
    signature: SignatureName = "acs3"
    ca_file: str | None = None


@dataclass(slots=True)  # one for every secret: freezing would triple what it costs to make
class Created:
    """CreateSecret succeeded."""

    request_id: str | None
    arn: str | None


@dataclass(slots=True, frozen=True)
class Fault:
    """The service answered with an error. `retry_after` is in seconds.

    `message` is what the service said. It may echo a value, so it never reaches a row, a log or a screen.
    """

    code: str
    status: int
    message: str = field(default="", repr=False)
    request_id: str | None = None
    retry_after: float | None = None


@dataclass(slots=True, frozen=True)
class NoReply:
    """No readable answer. `maybe_applied` is False only when the request cannot have reached the service.

    `fatal` says that no later attempt can fare better (a certificate that does not verify), `no_such_host`
    that the service's name has no address, as far as anybody knows.
    """

    reason: str
    maybe_applied: bool
    fatal: bool = False
    no_such_host: bool = False


@dataclass(slots=True, frozen=True)
class ReadValue:
    """A value as read at its source, and its type: "binary" is in Base64, None is text."""

    data: SecretValue
    data_type: str | None = None


class QuotaGroup(StrEnum):
    """A group of actions that share one quota per account and region."""

    CREATE = "create"  # CreateSecret, DeleteSecret
    READ = "read"  # GetSecretValue, DescribeSecret
    MANAGE = "manage"  # everything else

    __hash__ = str.__hash__  # an enum's own is Python code, and this one is looked up for every secret


class Outcome(StrEnum):
    """What became of a definition; the meaning of each is in the manual's outcomes page."""

    CREATED = "created"
    ADOPTED = "adopted"
    IDENTICAL = "identical"
    EXISTING = "existing"
    UPDATED = "updated"
    BEHIND = "behind"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    VALUE_LOST = "value_lost"
    INVALID = "invalid"
    PENDING = "pending"

    __hash__ = str.__hash__  # an enum's own is Python code, and this one is looked up for every secret

    @property
    def settled(self) -> bool:
        """True when a later run leaves this definition alone."""
        return self in APPLY_SETTLED


class Verified(StrEnum):
    """What reading a definition back showed: the words of a verify, in the place of outcomes."""

    IDENTICAL = "identical"
    PRESENT = "present"
    DIFFERS = "differs"
    BEHIND = "behind"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    INVALID = "invalid"
    PENDING = "pending"

    __hash__ = str.__hash__

    @property
    def settled(self) -> bool:
        """True when a verify that is resumed leaves this definition alone."""
        return self in VERIFY_SETTLED


APPLY_SETTLED = frozenset(
    {
        Outcome.CREATED,
        Outcome.ADOPTED,
        Outcome.IDENTICAL,
        Outcome.EXISTING,
        Outcome.UPDATED,
        Outcome.BEHIND,
    }
)
VERIFY_SETTLED = frozenset({Verified.IDENTICAL, Verified.PRESENT})
"""Two sets, as words of both kinds are equal if their texts are: behind is settled for an apply only."""


@dataclass(slots=True)
class Row:
    """One line of the ledger. Times are epoch seconds; no field is, or is computed from, a value.

    `manifest` and `line` are those of its `Origin`.
    """

    name: str | None
    version_id: str | None
    outcome: Outcome | Verified
    code: str | None = None
    message: str | None = None
    status: int | None = None
    request_id: str | None = None
    arn: str | None = None
    attempts: int = 0
    manifest: str | None = None
    line: int | str | None = None
    first_sent_at: float | None = None
    settled_at: float | None = None
    run_id: str | None = None


@dataclass(slots=True)
class Summary:
    """What a run did; `as_dict` is the object that ``--output json`` prints. `words` are for its ends."""

    run_id: str
    ledger: str
    endpoint: str
    region: str
    definitions: int
    outcomes: dict[Outcome | Verified, int]
    attempts: int
    throttled: int
    retried: int
    elapsed_s: float
    limit_qps: float
    max_in_one_second: int
    mean_qps: float
    utilisation: float | None
    latency_ms: dict[str, float | None]
    stopped_by: str | None
    exit_code: int
    words: type[Outcome | Verified] = Outcome
    settled_before: int = 0  # of the outcomes: by earlier runs; everything else is of this run

    def as_dict(self) -> dict[str, Any]:
        """Return the summary in the shape that scripts rely on."""
        return {
            "run_id": self.run_id,
            "ledger": self.ledger,
            "endpoint": self.endpoint,
            "region": self.region,
            "definitions": self.definitions,
            "outcomes": {word.value: self.outcomes.get(word, 0) for word in self.words},
            "settled_before": self.settled_before,
            "attempts": self.attempts,
            "throttled": self.throttled,
            "retried": self.retried,
            "elapsed_s": self.elapsed_s,
            "rate": {
                "limit_qps": self.limit_qps,
                "max_in_one_second": self.max_in_one_second,
                "mean_qps": self.mean_qps,
                "utilisation": self.utilisation,
            },
            "latency_ms": self.latency_ms,
            "stopped_by": self.stopped_by,
            "exit_code": self.exit_code,
        }

    @classmethod
    def from_dict(cls, shape: Mapping[str, Any], words: type[Outcome | Verified] = Outcome) -> Summary:
        """Return the summary that `as_dict` has given, of a run with these words."""
        told = dict(shape)
        rate = told.pop("rate")
        outcomes: dict[Outcome | Verified, int] = {words(k): n for k, n in told.pop("outcomes").items()}
        return cls(outcomes=outcomes, words=words, **told, **rate)

    def raise_for_failures(self) -> None:
        """Raise `UnfinishedError` unless every definition is settled."""
        unsettled = {o.value: n for o, n in self.outcomes.items() if n and not o.settled}
        if unsettled or self.stopped_by:
            raise UnfinishedError(unsettled, self.stopped_by)
