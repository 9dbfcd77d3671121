"""The judge is judged: tshark sees what a server sends, and complains when it is wrong."""

import socket

from ocs.diameter.wire import encode_avp, message_bytes
from tests.interop.capture import DIAMETER_PORT, Capture
from tests.interop.client import CREDIT_CONTROL, PROXIABLE, text, u32
from tests.interop.namespace import Namespace


def captured(namespace: Namespace, folder, body: bytes) -> Capture:
    """A capture of one credit-control answer with that body, sent from the port of a server."""
    message = message_bytes(PROXIABLE, 272, CREDIT_CONTROL, 1, 1, body)
    with (
        Capture(namespace, folder) as capture,
        namespace.inside(lambda: socket.create_server(("127.0.0.1", DIAMETER_PORT))) as listener,
        namespace.connect("127.0.0.1", DIAMETER_PORT) as client,
    ):
        server, _ = listener.accept()
        with server:
            server.sendall(message)
        assert client.recv(65536) == message
    return capture


def test_a_good_message_is_not_complained_about(namespace, tmp_path):
    capture = captured(namespace, tmp_path, text(263, "a;1;1") + u32(268, 2001) + text(264, "ocs.example.com"))
    assert capture.fields("diameter", "diameter.cmd.code", "diameter.Result-Code") == [["272", "2001"]]
    assert capture.complaints() == []


def test_a_wrong_length_is_complained_about(namespace, tmp_path):
    capture = captured(namespace, tmp_path, text(263, "a;1;1") + encode_avp(268, b"\x07\xd1"))
    assert [row[1] for row in capture.complaints()] == ["272"]
