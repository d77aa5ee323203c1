"""`/openapi.json`: every call, made from the table of routes and from the models that the handlers use."""

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sandbox import control, control_backups, control_clients, gateway, replies
from sandbox.budgets import Budgets
from sandbox.calls import Route, Surface
from sandbox.faults import FaultSpec
from sandbox.routes import ROUTES
from sandbox.switches import Switches

_SECURITY: Mapping[Surface, tuple[str, dict[str, str]]] = {
    Surface.CUSTODIAN: (
        "custodianKey",
        {"type": "http", "scheme": "bearer", "description": "The custodian's key with Portal."},
    ),
    Surface.CLIENT: (
        "clientToken",
        {"type": "http", "scheme": "bearer", "description": "A client's API key, or a session token of it."},
    ),
    Surface.ENCLAVE: ("clientToken", {}),
    Surface.GATEWAY: (
        "tatumKey",
        {"type": "apiKey", "in": "header", "name": gateway.HEADER, "description": "The key with Tatum."},
    ),
}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_CONTROL: Mapping[str, type[BaseModel]] = {
    "move_clock": control.Advance,
    "add_fault": FaultSpec,
    "set_budgets": Budgets,
    "set_switches": Switches,
    "seed": control_clients.Seed,
    "change_client": control_clients.ClientChange,
    "sign": control_clients.ToSign,
    "add_backup": control_backups.Backup,
}


@cache
def describe() -> dict[str, Any]:
    """Answer the whole description."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for path, method, operation in _control_operations():
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Portal and gateway sandbox", "version": "3.0"},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {name: scheme for name, scheme in _SECURITY.values() if scheme},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "tags": [route.surface.value],
        "description": inspect.getdoc(route.work),
        "security": [{_SECURITY[route.surface][0]: []}],
        "parameters": [
            *_path_parameters(route.path),
            *(
                {"name": query.name, "in": "query", "required": query.required, "schema": query.schema}
                for query in route.query
            ),
        ],
        "responses": _success(route) | _refusals(route),
    }
    return operation | _request(route.takes)


def _success(route: Route) -> dict[str, Any]:
    if not route.gives:
        return {"204": {"description": "Done; nothing to say."}}
    bodies = [_ref(model) for model in route.gives]
    schema = bodies[0] if len(bodies) == 1 else {"oneOf": bodies}
    return {"200": {"description": "Done.", "content": {"application/json": {"schema": schema}}}}


def _refusals(route: Route) -> dict[str, Any]:
    statuses = [400, 401] + [404] * route.unknown
    model: type[BaseModel] = replies.ErrorResponse
    if route.bare_errors:
        model = replies.BareErrorResponse
    elif route.surface is Surface.ENCLAVE:
        model = replies.MpcErrorResponse
    elif route.surface is Surface.GATEWAY:
        statuses, model = [400, 401, 403, 404, 422], replies.GatewayErrorResponse
    refused = {
        str(status): {"description": "Refused.", "content": {"application/json": {"schema": _ref(model)}}}
        for status in statuses
    }
    if route.surface is Surface.ENCLAVE:
        refused["401"] = {"description": "Refused, in plain text.", "content": _TEXT}
    if route.surface is Surface.GATEWAY:
        refused["403"]["content"] = {"application/json": {"schema": _ref(model)}} | _TEXT
    return refused


def _control_operations() -> Iterable[tuple[str, str, dict[str, Any]]]:
    answer = {"content": {"application/json": {"schema": {"type": "object"}}}}
    for module in (control, control_clients, control_backups):
        for route in module.router.routes:
            name = getattr(route, "name", "")
            operation = {
                "operationId": name,
                "tags": ["sandbox"],
                "description": inspect.getdoc(getattr(route, "endpoint", None)),
                "security": [],
                "parameters": _path_parameters(getattr(route, "path", "")),
                "responses": {
                    "200": {"description": "Done."} | answer,
                    "default": {"description": "The sandbox cannot do this; `error` says why."} | answer,
                },
            }
            for method in getattr(route, "methods", ()):
                yield getattr(route, "path", ""), method.lower(), operation | _request(_CONTROL.get(name))


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _request(model: type[BaseModel] | None) -> dict[str, Any]:
    if model is None:
        return {}
    required = any(field.is_required() for field in model.model_fields.values())
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _ref(model)}}}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> dict[str, Any]:
    models: set[type[BaseModel]] = {replies.ErrorResponse, replies.BareErrorResponse}
    models |= {replies.MpcErrorResponse, replies.GatewayErrorResponse, *_CONTROL.values()}
    models |= {model for route in ROUTES for model in (*route.gives, route.takes) if model is not None}
    _, made = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = made["$defs"]
    for schema in schemas.values():
        _tidy(schema)
    return schemas


def _tidy(schema: dict[str, Any]) -> None:
    """Drop the titles and defaults that pydantic writes: they say nothing about the calls."""
    schema.pop("title", None)
    schema.pop("default", None)
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())]
    for each in (*inner, *schema.get("properties", {}).values()):
        if isinstance(each, dict):
            _tidy(each)
