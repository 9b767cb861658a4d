"""The process that serves."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket

import uvicorn

from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from serving.app import create_app


def run(settings: Settings) -> None:
    """Serve until interrupted; prints the address. Port 0 takes any that is free.

    Raises:
        ProfilestoreError: the address is taken or not ours.
    """
    with _listen(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"Profilestore serves at http://{host}:{port}/ (Ctrl-C stops it)", flush=True)
        # No access log: it would keep who was asked for, where erasure does not look.
        config = uvicorn.Config(
            create_app(settings),
            access_log=False,
            # uvicorn's own set-up of logging closes the handlers of everybody else.
            log_config=None,
        )
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        # Ctrl-C is how it is told to stop: uvicorn closes down first and raises then.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # From here on who connects waits for an answer instead of being refused.
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ProfilestoreError(
                f"port {port} of {host} is taken by another process. Stop that one, or choose "
                f"another: `profilestore serve --port {port + 1}` or PROFILESTORE_PORT={port + 1}."
            ) from None
        raise ProfilestoreError(f"cannot listen on {host}:{port}: {error.strerror}.") from None
    listener.set_inheritable(True)
    return listener
