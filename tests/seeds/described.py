"""Reading `/openapi.json`: a schema's fields as data to compare with, and whether an answer conforms."""

from dataclasses import dataclass
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "object": dict,
    "array": list,
    "null": type(None),
}


@dataclass(frozen=True)
class Field:
    """A property of a schema; `kind` is its type, or the name of the schema it refers to."""

    name: str
    kind: str = "string"
    required: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class Described:
    """The description of a service."""

    document: Any

    def operation(self, method: str, path: str) -> Any:
        """Answer one call's description."""
        return self.document["paths"][path][method]

    def fields(self, name: str) -> set[Field]:
        """Answer a schema's properties."""
        schema = self.document["components"]["schemas"][name]
        assert schema["type"] == "object"
        required = schema.get("required", [])
        return {
            Field(each, self._kind(inner), each in required, self._nullable(inner))
            for each, inner in schema.get("properties", {}).items()
        }

    def body(self, operation: Any, status: str | None = None, content: str = "application/json") -> Any:
        """Answer the name of a reply's schema, or of the request's; a plain schema's type."""
        holder = operation["requestBody"] if status is None else operation["responses"][status]
        return self._kind(holder["content"][content]["schema"])

    def security(self, operation: Any) -> dict[str, str]:
        """Answer how a call is authenticated."""
        ((name, scopes),) = operation["security"][0].items()
        assert scopes == []
        scheme: dict[str, str] = self.document["components"]["securitySchemes"][name]
        return {key: value for key, value in scheme.items() if key != "description"}

    def parameters(self, operation: Any, place: str) -> set[Field]:
        """Answer the parameters in the path or in the query."""
        return {
            Field(each["name"], each["schema"]["type"], each["required"])
            for each in operation["parameters"]
            if each["in"] == place
        }

    def conforms(self, value: Any, schema: Any) -> bool:
        """Say whether a value is what a schema says; a property that no schema names is none."""
        if "$ref" in schema:
            named = schema["$ref"].rpartition("/")[2]
            return self.conforms(value, self.document["components"]["schemas"][named])
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return any(self.conforms(value, each) for each in schema[choice])
        if not isinstance(value, _TYPES[schema["type"]]) or value not in schema.get("enum", [value]):
            return False
        if isinstance(value, list):
            return all(self.conforms(each, schema["items"]) for each in value)
        if isinstance(value, dict) and "properties" in schema:
            known = schema["properties"]
            return set(schema.get("required", [])) <= set(value) <= set(known) and all(
                self.conforms(each, known[name]) for name, each in value.items()
            )
        return True

    def _kind(self, schema: Any) -> str:
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return "|".join(self._kind(each) for each in schema[choice] if each != {"type": "null"})
        return str(schema.get("type") or schema["$ref"].rpartition("/")[2])

    def _nullable(self, schema: Any) -> bool:
        return {"type": "null"} in schema.get("anyOf", [])
