"""The sandbox as an ASGI app: Portal's calls from the table of routes, and the control calls."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import control, control_backups, control_clients, gateway
from sandbox.calls import Route, serve
from sandbox.control_common import ControlError
from sandbox.describing import describe
from sandbox.errors import RefusedError
from sandbox.portal import Portal, open_portal
from sandbox.routes import ROUTES


class _App(FastAPI):
    """An app whose calls read their requests by themselves, so that their table describes them."""

    def openapi(self) -> dict[str, Any]:
        """Describe every call, for `/openapi.json`."""
        return describe()


def make_app(
    state: Path | None = None, custodian_key: str | None = None, gateway_key: str | None = None
) -> FastAPI:
    """Make a sandbox over a state file, or in memory. `app.state.portal` is its inside."""
    portal = open_portal(state, custodian_key, gateway_key)
    app = _App()
    app.state.portal = portal
    for route in ROUTES:
        app.add_api_route(
            route.path,
            _endpoint(route, portal),
            methods=[route.method],
            name=route.operation,
        )
    app.include_router(control.router)
    app.include_router(control_clients.router)
    app.include_router(control_backups.router)
    app.add_exception_handler(ControlError, _control_error)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def _endpoint(route: Route, portal: Portal) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await serve(route, portal, request)

    return endpoint


async def _control_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ControlError)  # noqa: S101 (registered for this type)
    return JSONResponse({"error": error.reason}, error.status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type)
    if request.url.path.startswith("/v4/"):
        return gateway.refusal(RefusedError(error.detail, error.status_code, "not.found"))
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
