"""A value is sent as it is written, or its line is refused: no reader's idea of a number changes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.definitions import good_and_bad, read_text

from bulkseed.model import SecretDefinition

integers = st.from_regex(r"-?(0|[1-9][0-9]{0,40})", fullmatch=True)
numbers = integers | st.from_regex(
    r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,4})?", fullmatch=True
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{value}" for key, value in pairs) + "}"


def _documents(scalars: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Compact JSON texts in which no key stands twice."""
    quoted = texts.map(lambda text: json.dumps(text, ensure_ascii=False))
    return st.recursive(
        scalars | quoted | st.sampled_from(["true", "false", "null"]),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
            | st.lists(st.tuples(texts, inner), max_size=3, unique_by=lambda pair: pair[0]).map(_object)
        ),
        max_leaves=8,
    )


def _sent(line: str, format_name: str = "jsonl") -> str:
    [[definition], wrong] = good_and_bad(read_text(line, format_name))
    assert wrong == []
    return definition.data.reveal()


@given(document=_documents(numbers), spaces=st.sampled_from(["", " ", "  "]))
@settings(max_examples=300, deadline=None)
def test_a_json_value_is_sent_digit_for_digit(document: str, spaces: str) -> None:
    """Fractions, exponents and integers of any size keep their own text, at any depth (B2)."""
    value = f'{{"value":{document}}}'
    line = f'{{"SecretName":{spaces}"a","SecretData":{spaces}{value}{spaces}}}'
    assert _sent(line) == value
    assert _sent(f"[{line}]", "json") == value


@given(number=numbers)
@settings(max_examples=100, deadline=None)
def test_a_number_alone_is_the_text_of_it(number: str) -> None:
    """`"SecretData": 1.10` is the value 1.10 (B2)."""
    assert _sent(f'{{"SecretName":"a","SecretData":{number}}}') == number
    assert _sent(f"SecretName: a\nSecretData: {number}\n", "yaml") == number


@given(number=numbers)
@settings(max_examples=200, deadline=None)
def test_a_yaml_token_keeps_its_text(number: str) -> None:
    """Inside an object it is a number with the same digits or a text, and a text if it has an exponent.

    (B1)
    """
    sent = _sent(f"SecretName: a\nSecretData: {{token: {number}, list: [{number}]}}\n", "yaml")
    token = f'"{number}"' if "e" in number.lower() else number
    assert sent == f'{{"token":{token},"list":[{token}]}}'


@pytest.mark.parametrize(
    "token", ["12345e7", "0e4815162342", "1e10", "5.", ".5", "0123", "+49", "0x1F", "1_000"]
)
def test_what_only_looks_like_a_number_is_a_text_in_yaml(token: str) -> None:
    """A commit, a telephone number or a PIN is not calculated with (B1)."""
    assert _sent(f"SecretName: a\nSecretData: {{x: {token}}}\n", "yaml") == f'{{"x":"{token}"}}'


@given(
    around=st.lists(
        st.tuples(texts.filter(lambda key: key != "k"), numbers), max_size=3, unique_by=lambda p: p[0]
    ),
    depth=st.integers(0, 4),
    first=_documents(numbers),
    escaped=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_key_that_stands_twice_is_refused(
    around: list[tuple[str, str]], depth: int, first: str, *, escaped: bool
) -> None:
    """At every depth, however the key is written: nobody can tell which one was meant (B3)."""
    value = _object([("k", first), *around, ("k", '"x"')])
    if escaped:
        value = value.replace('"k":', '"\\u006b":', 1)
    for _ in range(depth):
        value = f'[{{"in":{value}}}]'
    good, [wrong] = good_and_bad(read_text(f'{{"SecretName":"a","SecretData":{{"v":{value}}}}}', "jsonl"))
    assert good == []
    assert wrong.reasons == ("has the same key twice",)


@pytest.mark.parametrize("parameter", ["VersionId", "Description", "SecretDataType", "SecretName", "Tags"])
def test_a_parameter_that_stands_twice_is_named(parameter: str) -> None:
    """The parameters' own names are no secrets (B3)."""
    line = f'{{"SecretName": "a", "SecretData": "x", "{parameter}": "1", "{parameter}": "2"}}'
    assert good_and_bad(read_text(line, "jsonl"))[1][0].reasons == (f"has {parameter} twice",)


def test_escaped_marks_in_texts_are_no_keys() -> None:
    """JSON texts as values, with marks and backslashes, are read in every spelling."""
    for text in ('{"a":"b"}', '\\"', '"', '\\\\"\\', "é\u2028"):
        for ascii_only in (True, False):
            line = json.dumps({"SecretName": "a", "SecretData": text}, ensure_ascii=ascii_only)
            assert _sent(line) == text


def test_tags_may_be_the_text_of_a_mapping() -> None:
    """A cell of a table can hold `{"team": "a"}`, too (G14)."""
    table = 'SecretName,SecretData,Tags\na,x,"{""team"": ""a""}"\n'
    [entry] = read_text(table, "csv")
    assert isinstance(entry, SecretDefinition)
    assert entry.tags == '[{"TagKey":"team","TagValue":"a"}]'


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ('{"a": "1", "a": "2"}', "has the same key twice"),
        (
            '[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]',
            "Tags tag 2: TagKey is that of tag 1 too",
        ),
    ],
)
def test_a_tag_that_stands_twice_is_refused(tags: str, reason: str) -> None:
    """In a mapping and in a list (B3)."""
    line = f'{{"SecretName": "a", "SecretData": "x", "Tags": {tags}}}'
    assert good_and_bad(read_text(line, "jsonl"))[1][0].reasons == (reason,)


def test_a_configuration_keeps_its_numbers() -> None:
    """What a managed secret is configured with goes as it is written (B2)."""
    config = '{"SecretSubType":"SingleUser","DBInstanceId":"rm-1","CustomData":{"a":1.30,"b":1e-400}}'
    data = '{"Accounts":[{"AccountName":"a","AccountPassword":"p"}]}'
    line = f'{{"SecretName":"a","SecretType":"Rds","SecretData":{data},"ExtendedConfig":{config}}}'
    [[definition], wrong] = good_and_bad(read_text(line, "jsonl"))
    assert (wrong, definition.extended_config) == ([], config)
