"""Preparing a namespace: the search attributes that an eject writes."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client

from ejects.service import EjectError
from workflows import attributes


async def lacking(client: Client) -> list[str]:
    """The names of the search attributes that the namespace lacks or has with another type."""
    missing, mistyped = await compared(client)
    return missing + mistyped


async def compared(client: Client) -> tuple[list[str], list[str]]:
    """The names of the search attributes that the namespace lacks, and of those with another type."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    known = {name: int(kind) for name, kind in listed.custom_attributes.items()}
    wrong = [key.name for key in attributes.ALL if known.get(key.name) != int(key.indexed_value_type)]
    return [name for name in wrong if name not in known], [name for name in wrong if name in known]


async def register(client: Client) -> list[str]:
    """Create the missing search attributes; repeating it is safe. Returns the names that were missing.

    The server takes another type for an existing name silently and changes nothing, so it is read back.
    """
    missing = await lacking(client)
    types: dict[str, IndexedValueType.ValueType] = {
        key.name: IndexedValueType.ValueType(int(key.indexed_value_type))
        for key in attributes.ALL
        if key.name in missing
    }
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=types)
        )
    if wrong := await lacking(client):
        raise EjectError(
            f"Namespace {client.namespace} has {', '.join(wrong)} with another type: remove them there first"
        )
    return missing
