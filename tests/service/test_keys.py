"""Keys as the pages describe them: which protect secrets, and what happens to those when they do not."""

from __future__ import annotations

from support.kms import Desk, create, put, value_of

from bulkseed.wire.actions import (
    cancel_key_deletion,
    create_key,
    describe_key,
    describe_secret,
    disable_key,
    enable_key,
    generate_data_key,
    get_secret_value,
    list_keys,
    schedule_key_deletion,
)

DAY = 86_400


def test_keys_protect_secrets_while_they_are_usable() -> None:
    """A disabled or leaving key stops creates and reads; enabling it brings everything back."""
    desk = Desk()
    key = desk.ask(create_key.Request()).key_metadata.key_id
    arn = desk.ask(describe_key.Request(key)).key_metadata.arn
    assert desk.code(create("a", encryption_key_id=key)) is None
    assert desk.code(create("b", encryption_key_id=arn)) is None
    assert desk.ask(describe_secret.Request("b")).encryption_key_id == key
    desk.ask(disable_key.Request(key))
    assert desk.code(create("c", encryption_key_id=key)) == "Rejected.Disabled"
    assert desk.code(get_secret_value.Request("a")) == "Rejected.Disabled"
    assert desk.code(put("v2", "x", "a")) == "Rejected.Disabled"
    assert desk.code(generate_data_key.Request(key)) == "Rejected.Disabled"
    desk.ask(enable_key.Request(key))
    assert value_of(desk, "a") == "value"
    assert desk.code(schedule_key_deletion.Request(key, 6)) == "InvalidParameter"
    assert desk.code(schedule_key_deletion.Request(key, 7)) is None
    assert desk.code(get_secret_value.Request("a")) == "Rejected.PendingDeletion"
    assert desk.code(enable_key.Request(key)) == "Rejected.StateModifiedFailed"
    assert desk.code(cancel_key_deletion.Request(key)) is None
    assert desk.code(cancel_key_deletion.Request(key)) == "Rejected.StateModifiedFailed"
    assert value_of(desk, "a") == "value"
    desk.ask(schedule_key_deletion.Request(key, 7))
    desk.now += 7 * DAY
    assert desk.code(describe_key.Request(key)) == "Forbidden.KeyNotFound"
    assert desk.code(get_secret_value.Request("a")) == "Forbidden.KeyNotFound"
    assert desk.code(create("d", encryption_key_id=key)) == "Forbidden.ResourceNotFound"


def test_keys_that_cannot_protect_a_secret() -> None:
    """Asymmetric keys and keys of another instance are refused; the service makes its own key once."""
    desk = Desk()
    rsa = desk.ask(create_key.Request(key_spec="RSA_2048", key_usage="SIGN/VERIFY")).key_metadata.key_id
    assert desk.code(create("a", encryption_key_id=rsa)) == "InvalidParameter"
    assert desk.code(generate_data_key.Request(rsa)) == "UnsupportedOperation"
    instance = desk.ask(create_key.Request("kst-1")).key_metadata.key_id
    assert desk.code(create("a", encryption_key_id=instance)) == "InvalidParameter"
    assert desk.code(create("a", encryption_key_id=instance, dkms_instance_id="kst-1")) is None
    desk.ask(create("b")), desk.ask(create("c"))
    own = {desk.ask(describe_secret.Request(name)).encryption_key_id for name in ("b", "c")}
    assert len(own) == 1
    assert desk.ask(list_keys.Request()).total_count == 3
    assert desk.code(create_key.Request(key_spec="DES")) == "InvalidParameter"
    assert desk.code(create_key.Request(origin="EXTERNAL")) == "UnsupportedOperation"


def test_data_keys() -> None:
    """GenerateDataKey gives as many fresh bytes as asked for, and never twice the same."""
    desk = Desk()
    key = desk.ask(create_key.Request()).key_metadata.key_id
    first, second = (desk.ask(generate_data_key.Request(key)) for _ in range(2))
    assert first.plaintext != second.plaintext
    assert first.ciphertext_blob != second.ciphertext_blob
    assert len(desk.ask(generate_data_key.Request(key, "AES_128")).plaintext.reveal()) == 24
    for bad in ({"key_spec": "DES"}, {"number_of_bytes": 0}, {"number_of_bytes": 1025}):
        assert desk.code(generate_data_key.Request(key, **bad)) == "InvalidParameter"
