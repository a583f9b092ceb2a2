"""Generates the contract for other languages: JSON Schema of messages, spec and portrait, and one AsyncAPI 3 document.

``python -m schemas.documents`` writes them to ``schemas/generated``; a test proves that what is there is current.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.accepted import Reason
from schemas.explanation import Explanation
from schemas.messages import Activate, Alert, Customer, Forget, Score, Tick, Transaction
from schemas.portrait import Portrait
from schemas.spec import Spec

GENERATED: Final = Path(__file__).parent / "generated"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_INPUTS: Final[dict[str, type[msgspec.Struct]]] = {
    "transaction": Transaction,
    "customer": Customer,
    "tick": Tick,
    "activate": Activate,
    "forget": Forget,
}
_OUTPUTS: Final[dict[str, type[msgspec.Struct]]] = {"score": Score, "alert": Alert}
_ID_KEY: Final = {"type": "string", "description": "the customer's id in UTF-8"}


def documents() -> dict[str, str]:
    """Return the text of each generated file by its name."""
    messages: Mapping[str, type[msgspec.Struct]] = {**_INPUTS, **_OUTPUTS}
    files = {f"{name}.schema.json": _json(_schema(name, kind)) for name, kind in messages.items()}
    files["scorer.schema.json"] = _json(_schema("scorer", Spec))
    files["portrait.schema.json"] = _json(_schema("portrait", Portrait))
    files["explanation.schema.json"] = _json(_schema("explanation", Explanation))
    files["asyncapi.json"] = _json(_asyncapi(messages))
    return files


def write(folder: Path = GENERATED) -> None:
    """Write all files, removing those that are no longer generated."""
    folder.mkdir(exist_ok=True)
    made = documents()
    for stale in set(folder.glob("*.json")) - {folder / name for name in made}:
        stale.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


def _schema(name: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(kind)
    parts = schema.get("$defs", {})
    return {"$schema": _DIALECT, "title": name, **_kind_optional({"$defs": parts, **schema})}


def _kind_optional(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with ``kind`` not required of a transaction: a record without it is one."""
    transaction = schema.get("$defs", {}).get("Transaction")
    if transaction:
        transaction["required"] = [field for field in transaction["required"] if field != "kind"]
    return schema


def _asyncapi(messages: Mapping[str, type[msgspec.Struct]]) -> dict[str, Any]:
    kinds = [*messages.values()]
    references, parts = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = _kind_optional({"$defs": parts})["$defs"]
    payloads = dict(zip(messages, references, strict=True))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Foretell",
            "version": "1",
            "description": "Customer events in, calibrated scores and alerts out; all keyed by customer.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "transactions": _channel("transactions", "all that changes a customer's state", _INPUTS),
            "scores": _channel("scores", "one score for each transaction, in the input's partition", ["score"]),
            "alerts": _channel("alerts", "rules that fired; a repeat has the same alert_id and bytes", ["alert"]),
            "deadLetters": _channel("transactions.dlq", "refused records, value and key unchanged", ["deadLetter"]),
        },
        "operations": {
            "consumeTransactions": {"action": "receive", "channel": {"$ref": "#/channels/transactions"}},
            "emitScores": {"action": "send", "channel": {"$ref": "#/channels/scores"}},
            "emitAlerts": {"action": "send", "channel": {"$ref": "#/channels/alerts"}},
            "emitDeadLetters": {"action": "send", "channel": {"$ref": "#/channels/deadLetters"}},
        },
        "components": {
            "messages": {
                **{name: _message(name, payload) for name, payload in payloads.items()},
                "deadLetter": _dead_letter(),
            },
            "schemas": schemas,
        },
    }


def _channel(address: str, text: str, messages: Any) -> dict[str, Any]:  # noqa: ANN401  (any iterable of names)
    names = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": address, "description": text, "messages": names}


def _message(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    per_customer = name not in {"tick", "activate"}
    binding = {"bindings": {"kafka": {"key": _ID_KEY, "bindingVersion": "0.5.0"}}} if per_customer else {}
    return {"name": name, "payload": payload, **binding}


def _dead_letter() -> dict[str, Any]:
    text = {"type": "string"}
    headers = {
        "reason": {"type": "string", "enum": [str(reason) for reason in Reason]},
        "detail": text,
        "topic": text,
        "partition": text,
        "offset": text,
        "length": {"type": "string", "description": "of the whole value, where only its first 64 KiB are here"},
        "sha256": {"type": "string", "description": "of the whole value, where only its first 64 KiB are here"},
    }
    required = ["reason", "detail", "topic", "partition", "offset"]
    return {
        "name": "deadLetter",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers, "required": required},
        "payload": {"description": "the refused record's value, byte for byte"},
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write()
