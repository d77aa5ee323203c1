"""What the control calls share: strict bodies, and one way of refusing."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from sandbox.bodies import BadBodyError, parse
from sandbox.portal import Portal

M = TypeVar("M", bound=BaseModel)


class ControlError(Exception):
    """The control call cannot be done; the text says why."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


class Strict(BaseModel):
    """A mistyped name must not pass in silence: a test would then show nothing."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


async def body_of(request: Request, model: type[M]) -> M:
    """Read the body; an absent one counts as an empty object."""
    try:
        return parse(model, (await request.body()).strip() or b"{}")
    except BadBodyError as error:
        raise ControlError(str(error)) from None


def portal_of(request: Request) -> Portal:
    """Answer the sandbox that is steered."""
    portal: Portal = request.app.state.portal
    return portal
