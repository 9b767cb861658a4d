"""The process: its address, and what it says when that is taken."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from profilestore.errors import InputError, ProfilestoreError
from serving.server import run


def declare_nobody(settings) -> None:
    settings.access_file.write_text("clients: {}\n")


def test_a_taken_port_is_said_with_what_to_do(settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ProfilestoreError, match=rf"port {port} .* taken.*--port {port + 1}"):
            run(replace(settings, port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "nobody.invalid"])
def test_without_clients_only_this_machine_is_served(settings, host: str) -> None:
    with pytest.raises(InputError, match=rf"host {host}: .* only this machine may"):
        run(replace(settings, host=host))


def test_an_address_that_is_not_ours_is_said(settings) -> None:
    declare_nobody(settings)
    with pytest.raises(ProfilestoreError, match=r"cannot listen on 203\.0\.113\.1"):
        run(replace(settings, host="203.0.113.1"))


def test_a_name_that_nobody_has_is_said(settings) -> None:
    declare_nobody(settings)
    with pytest.raises(ProfilestoreError, match=r"cannot listen on nobody\.invalid"):
        run(replace(settings, host="nobody.invalid"))


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]
)
def test_the_address_is_printed_with_the_port_that_was_free(
    settings, monkeypatch, capsys, host: str, shown: str
) -> None:
    served = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: served.extend(sockets))
    try:
        run(replace(settings, host=host, port=0))
    except ProfilestoreError:
        assert host == "::1"  # a machine without IPv6
        return
    said = capsys.readouterr().out
    assert shown in said
    assert "No access.yaml: whoever is on this machine may ask." in said
    assert len(served) == 1
