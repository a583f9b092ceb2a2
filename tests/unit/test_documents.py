import json
from typing import Any

import jsonschema
import pytest

from schemas import codec, documents
from schemas.messages import Transaction


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(documents.documents()[f"{name}.schema.json"])
    return document


def references(node: Any) -> list[str]:  # noqa: ANN401  (any JSON)
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_generated_documents_are_current() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in documents.GENERATED.glob("*.json")}
    assert found == documents.documents(), "run `python -m schemas.documents`"


@pytest.mark.parametrize("name", [*documents.documents()])
def test_every_schema_is_a_valid_schema(name: str) -> None:
    if name.endswith(".schema.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(documents.documents()[name]))


def test_asyncapi_refers_only_to_what_it_holds() -> None:
    document = json.loads(documents.documents()["asyncapi.json"])
    assert references(document)
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    assert set(document["channels"]["transactions"]["messages"]) == {
        "transaction",
        "customer",
        "tick",
        "activate",
        "forget",
    }


def test_schema_and_codec_agree_on_a_transaction_with_and_without_kind() -> None:
    whole = Transaction(transaction_id="t", customer_id="c", time=1_700_000_000_000, amount=-1.5, type="cash")
    fields = json.loads(codec.encode(whole))
    bare = {name: value for name, value in fields.items() if name != "kind"}
    for message in (fields, bare):
        jsonschema.validate(message, schema("transaction"))
        assert codec.decode(json.dumps(message).encode()) == whole


@pytest.mark.parametrize("change", [{"amount": "1"}, {"customer_id": ""}, {"time": None}, {"type": 3}])
def test_schema_and_codec_refuse_the_same_transaction(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"transaction_id": "t", "customer_id": "c", "time": 1_700_000_000_000, "amount": 1.0}
    fields |= {"type": "cash"} | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(fields, schema("transaction"))
    assert isinstance(codec.decode(json.dumps(fields).encode()), tuple)
