"""The process that serves."""

from __future__ import annotations

import contextlib
import errno
import gc
import ipaddress
import signal
import socket

import uvicorn

from profilestore.errors import InputError, ProfilestoreError
from profilestore.settings import Settings
from serving.app import create_app
from serving.telemetry import log_json, trace_to

_DRAIN_SECONDS = 30


def run(settings: Settings) -> None:
    """Serve until interrupted; prints the address. Port 0 takes any that is free.

    Raises:
        InputError: nobody is declared who may ask, and others than this machine could.
        ProfilestoreError: the address is taken or not ours.
    """
    is_open = not settings.access_file.exists()
    if is_open and not _is_loopback(settings.host):
        raise InputError(
            f"host {settings.host}: {settings.access_file} does not declare who may ask, so only "
            "this machine may: use 127.0.0.1, or declare a client with `profilestore access-key "
            "<client> --scope <scope>`."
        )
    with _listen(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"Profilestore serves at http://{host}:{port}/ (Ctrl-C stops it)", flush=True)
        if is_open:
            print(
                f"No {settings.access_file.name}: whoever is on this machine may ask.", flush=True
            )
        # No access log: it would keep who was asked for, where erasure does not look.
        config = uvicorn.Config(
            create_app(settings),
            access_log=False,
            # uvicorn's own set-up of logging closes the handlers of everybody else.
            log_config=None,
            # Who is told to stop answers what it was asked, and takes no more.
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        log_json(settings.log_level)
        stop_tracing = trace_to(settings.traces_to)
        # Ctrl-C and SIGTERM are how it is told to stop: uvicorn closes down first and raises them
        # again then. There is still something to do, and to have stopped is no failure.
        told_to_end = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                _Server(config).run(sockets=[listener])
        finally:
            signal.signal(signal.SIGTERM, told_to_end)
        stop_tracing()


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there now stays: to walk through it again and again would keep requests waiting,
        # for a tenth of a second at a time.
        gc.freeze()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
