"""Error code or outcome → what it means and what to do next, in our words.

What the service says in a message may echo a value, so rows, logs and pages carry these texts instead.
"""

from __future__ import annotations

from typing import NamedTuple

from bulkseed.model import Fault, NoReply, Outcome, Verified


class Advice(NamedTuple):
    """What a code means, and what to do about it."""

    meaning: str
    action: str


_KEY = "check ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and ALIBABA_CLOUD_SECURITY_TOKEN"
_CLOCK = "synchronise this machine's clock (NTP), then run again"

ADVICE: dict[str, Advice] = {
    "Rejected.ResourceExist": Advice(
        "a secret with this name exists and is not ours",
        "choose --on-exists skip or verify, or another name; --on-exists update would overwrite it",
    ),
    "Rejected.ResourceInDeleteWindow": Advice(
        "a secret with this name is scheduled for deletion, so the name is taken but the secret is not there",
        "run again with --on-delete-window restore, which takes it back; to free the name of one that this "
        "ledger made, run `bulkseed rollback LEDGER --force --yes` after that",
    ),
    "Rejected.Throttling": Advice(
        "the quota of requests per second was exceeded",
        "run again; lower --qps if other programs share this account and region",
    ),
    "Rejected.LimitExceeded": Advice(
        "the account's quota of secrets is full",
        "raise the quota of the KMS instance or delete unused secrets, then run again",
    ),
    "Rejected.ShareQuotaExceedLimit": Advice(
        "the shared quota of the KMS instance is full", "raise the instance's quota, then run again"
    ),
    "Forbidden.NoPermission": Advice(
        "these credentials may not do this",
        "grant kms:CreateSecret, to compare kms:GetSecretValue, and on an own encryption key "
        "kms:GenerateDataKey; then run again",
    ),
    "Forbidden.ResourceNotFound": Advice(
        "the secret, or something that its definition refers to, does not exist",
        "apply it if it is the secret (a verify finds it missing); else check EncryptionKeyId, "
        "DKMSInstanceId and DBInstanceId",
    ),
    "Forbidden.AliasNotFound": Advice("no key has this alias", "give EncryptionKeyId a key's id"),
    "Forbidden.KeyNotFound": Advice("the encryption key does not exist", "check EncryptionKeyId"),
    "Forbidden.DKMSInstanceNotFound": Advice("the KMS instance does not exist", "check DKMSInstanceId"),
    "Forbidden.DKMSInstanceStateInvalid": Advice(
        "the KMS instance is not in service", "check the instance in the console, then run again"
    ),
    "Forbidden.KmsServiceNotEnabled": Advice(
        "KMS is not activated for this account", "activate KMS in the console, then run again"
    ),
    "Forbidden.InDebt": Advice("the account is in arrears", "settle the account's bill, then run again"),
    "Forbidden.InDebtOverdue": Advice(
        "the account is in arrears", "settle the account's bill, then run again"
    ),
    "Rejected.Disabled": Advice(
        "the encryption key is disabled", "enable it or choose another EncryptionKeyId"
    ),
    "Rejected.PendingDeletion": Advice(
        "the encryption key is scheduled for deletion", "choose another EncryptionKeyId"
    ),
    "InvalidAccessKeyId.NotFound": Advice("the access key is unknown, or its token has expired", _KEY),
    "SignatureDoesNotMatch": Advice(
        "our signature is not accepted: the access key secret is wrong, or a proxy rewrites requests",
        _KEY,
    ),
    "IncompleteSignature": Advice("the service could not read the signature", _KEY),
    "InvalidSecurityToken.Expired": Advice("the security token has expired", _KEY),
    "IllegalTimestamp": Advice("the service does not accept this machine's time", _CLOCK),
    "InvalidTimeStamp.Expired": Advice("the service does not accept this machine's time", _CLOCK),
    "InvalidTimeStamp.Format": Advice("the service cannot read the time of our requests", _CLOCK),
    "UnsupportedOperation": Advice(
        "the service does not offer this to this account (often: no KMS instance)",
        "buy or name a KMS instance: --set DKMSInstanceId=kst-…",
    ),
    "InvalidParameter": Advice(
        "the service refused a parameter", "compare the definition with `bulkseed plan --schema`"
    ),
    "MissingParameter": Advice(
        "the service misses a parameter", "compare the definition with `bulkseed plan --schema`"
    ),
    "InternalFailure": Advice("the service failed internally", "run again"),
    "ServiceUnavailableTemporary": Advice("the service is temporarily unavailable", "run again"),
    "SignatureNonceUsed": Advice("the service saw this nonce before", "run again"),
    "Source.Throttled": Advice("the source refuses the pace", "run again with a lower rate at the source"),
    "Source.Unavailable": Advice("the source does not answer", "run again when it is there"),
    "Source.Credentials": Advice(
        "the source does not accept our credentials", "log in again, then run again"
    ),
    "Source.Certificate": Advice("the source's certificate does not verify", "give its CA as auth.ca_file"),
    "Source.Denied": Advice("the source does not let us read this one", "grant reading it, then run again"),
    "Source.NotFound": Advice("the source does not have it any more", "run again to list anew"),
    "Source.Deleted": Advice("its version was deleted at the source", "restore it there, or exclude it"),
    "Source.Disabled": Advice("it is disabled at the source", "enable it there, or exclude it"),
    "Source.Moved": Advice("it changed at the source after it was listed", "run again"),
    "Source.Empty": Advice("it is empty at the source", "give it a value there, or exclude it"),
    "Source.TooLarge": Advice("it is larger than a secret can be: 30,720 bytes", "split it, or exclude it"),
    "Source.NotText": Advice("it holds something that no text or JSON can carry", "exclude it"),
    "Source.NoKey": Advice(
        "it is no map, has a key twice, or lacks the key that is asked for", "choose other keys"
    ),
    "Source.Unreadable": Advice("the source's answer could not be understood", "look at it at the source"),
}

UNKNOWN = Advice(
    "the service refused this with a code that bulkseed does not know",
    "look the code up in the API Error Center",
)
NOT_KMS = Advice(
    "the answer was no answer of KMS: a proxy or gateway stands in between, or the service was down",
    "run again; if it stays, check the proxy and --endpoint",
)
LOST = Advice("no readable answer came back", "run again: what became of it will be found out first")


def advice(code: str | None) -> Advice:
    """Return what `code` means and what to do; codes of a family fall back to the family's text."""
    if code is None:
        return LOST
    found = ADVICE.get(code)
    if found is None and code.startswith("Throttling"):
        found = ADVICE["Rejected.Throttling"]
    if found is None and code.startswith("InvalidSecurityToken"):
        found = ADVICE["InvalidSecurityToken.Expired"]
    if found is None and code.startswith("Forbidden."):
        found = ADVICE["Forbidden.NoPermission"]
    if found is None and (code.startswith("HTTP") or code == "Unreadable"):
        found = NOT_KMS
    return found or UNKNOWN


def abort_message(answer: Fault | NoReply) -> str:
    """Say what every later call would be answered, and what to do about it."""
    if isinstance(answer, NoReply):
        return answer.reason
    told = advice(answer.code)
    return f"{answer.code}: {told.meaning}; {told.action}"


BY_OUTCOME: dict[str, Advice] = {
    Outcome.CONFLICT: Advice(
        "it is there with another value, or with another version in force",
        "to put your value: give it a VersionId that it never had and run again if the secret is "
        "ours; if it is somebody else's that is overwriting it (--on-exists update). Else leave it, or "
        "choose another name",
    ),
    Outcome.VALUE_LOST: Advice(
        "an earlier run may have created it, and the value that it generated ended with that run",
        "raise its VersionId and apply with --regenerate, or delete the secret and run again",
    ),
    Verified.DIFFERS: Advice(
        "the service has another value of this version",
        "if the manifest is right: raise VersionId and apply it, with the same ledger; only a secret that "
        "is somebody else's needs --on-exists update, too, which overwrites it",
    ),
    Verified.BEHIND: Advice(
        "the manifest or source has a version that the service does not have",
        "apply it, then verify again; if its ledger calls it settled, somebody changed it at the service "
        "since: put this version in force there, or give the manifest the one that is",
    ),
    Verified.MISSING: Advice(
        "a verify did not find it, or not this version of it",
        "apply it, with the same ledger: --recreate creates again what was deleted since, and with "
        "--on-delete-window restore takes back what is scheduled for deletion",
    ),
    Outcome.INVALID: Advice(
        "it is no valid definition", "correct it in the manifest or store, then run again"
    ),
    Outcome.PENDING: Advice("the run ended before this was finished", "run again to resume"),
}
"""What an outcome means where no code of the service decides it."""


_MAY_NOT = ADVICE["Forbidden.NoPermission"]
_MAY_NOT_READ = _MAY_NOT._replace(
    action="grant kms:GetSecretValue, and on an own encryption key kms:Decrypt; then run again"
)


GONE = "was ours, and the service does not have it any more: --recreate creates it again"
TAKEN_FOR_OURS = (
    "taken for ours, as it has the version that an earlier run claimed, and is not older than that claim: "
    "its value was lost, and a new one is in force"
)
BOTH_SIDES = "changed at both sides"
ANOTHER = "another secret has its name now: the service dates it after this ledger made ours"
NOT_IN_FORCE = "the service has this version with this value, and another version is in force"
GENERATED_NOT_IN_FORCE = "the service has this version, and another version is in force"

_IN_FORCE = (
    "apply overwrites nothing here: put our version back in force at the service (UpdateSecretVersionStage), "
    "or give the manifest the version and value that are in force; then run again"
)
BY_MESSAGE: dict[str, str] = {
    GONE: "run again with --recreate",
    BOTH_SIDES: _IN_FORCE,
    NOT_IN_FORCE: _IN_FORCE,
    GENERATED_NOT_IN_FORCE: _IN_FORCE,
    ANOTHER: "nothing was overwritten: choose another name; or, if it may go, delete it and run again with "
    "--recreate",
}
"""How a message of ours begins → what to do, where outcome and code would say what does not help."""


def advise(outcome: str, code: str | None, message: str | None = None) -> Advice:
    """Return what a definition that is not settled needs; `outcome` is one of an apply or a verify.

    `message`: of its row, which may say more than outcome and code do.
    """
    if message is not None:
        for begins, action in BY_MESSAGE.items():
            if message.startswith(begins):
                return Advice(message, action)
        if outcome == Outcome.CONFLICT:
            return BY_OUTCOME[outcome]._replace(meaning=message)
    told = BY_OUTCOME.get(outcome) or advice(code)
    return _MAY_NOT_READ if told is _MAY_NOT and isinstance(outcome, Verified) else told
