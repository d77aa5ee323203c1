"""What the commands of `starter.py` share: their options, and what they open."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, TypeAdapter, ValidationError
from temporalio.client import Client

from contracts.base import Id
from runtime.temporal import connect

T = TypeVar("T")


def being(kind: Any, otherwise: str) -> Callable[[str], str]:
    """A callback for an option that is a message's kind of text; `otherwise` says what it should be."""

    def checked(text: str) -> str:
        try:
            return str(TypeAdapter(kind).validate_python(text))
        except ValidationError:
            raise typer.BadParameter(otherwise) from None

    return checked


_IS_ID = being(Id, "an id has 1 to 64 letters, digits, '-' and '_'")
ClientId = Annotated[str, typer.Option("--client", callback=_IS_ID, help="Portal's id of the client.")]
InFile = Annotated[typer.FileText, typer.Option("--file", help="'-' reads standard input.")]
Why = Annotated[str, typer.Option(help="Why, in one line without secrets.")]
By = Annotated[str, typer.Option(help="Who gives this command; stands in history as asserted.")]


def connected(work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """Do something with a connected client, in an event loop of its own."""

    async def run() -> T:
        return await work(await connect())

    return asyncio.run(run())


def show(answer: BaseModel) -> None:
    """Print an answer as JSON."""
    typer.echo(answer.model_dump_json(indent=2))
