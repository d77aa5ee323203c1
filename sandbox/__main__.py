"""`python -m sandbox`: a Portal on localhost, until SIGTERM or SIGINT."""

import argparse
import json
import logging
import os
import sqlite3
import sys
from pathlib import Path

from sandbox.app import make_app
from sandbox.server import HOST, bind, run


def main() -> int:
    """Read the arguments, serve, and answer the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A Portal on localhost.")
    parser.add_argument("--host", default=HOST, help="127.0.0.1 and nothing else: it hands out whole keys")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--state", type=Path, help="the file that keeps everything; without it, memory")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    arguments = parser.parse_args()
    if arguments.host != HOST:
        parser.error(f"the sandbox serves {HOST} only")
    logging.basicConfig(
        stream=sys.stderr, level=arguments.log_level.upper(), format="%(levelname)s %(message)s"
    )
    try:
        listener = bind(arguments.port)
        app = make_app(
            arguments.state,
            os.environ.get("SANDBOX_CUSTODIAN_API_KEY") or None,
            os.environ.get("SANDBOX_GATEWAY_API_KEY") or None,
        )
    except OverflowError:
        return _fail(f"port {arguments.port} does not exist")
    except OSError as error:
        return _fail(f"cannot start: {error}")
    except sqlite3.Error as error:
        return _fail(f"cannot use the state file: {error}")
    portal = app.state.portal

    def ready() -> None:
        line = {
            "url": f"http://{HOST}:{listener.getsockname()[1]}",
            "custodian_api_key": portal.custodian_key,
            "gateway_api_key": portal.gateway_key,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        run(app, listener, ready, arguments.log_level)
    finally:
        portal.store.close()
    return 0


def _fail(reason: str) -> int:
    sys.stderr.write(reason + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
