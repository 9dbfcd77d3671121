import io
import json
import logging

import pytest
import structlog

from ocs import logs


@pytest.fixture
def lines():
    """Logs set up on a stream; calling it gives the lines so far, as objects."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.set_up("info", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("491700000001", "49170*****01"),
        ("imsi:262010000000001", "imsi:26201********01"),
        ("sip:+491700000001@ims.example.com", "sip:+49170*****01@ims.example.com"),
        ("112", "112"),
        ("1234567", "1234567"),
        ("12345678", "12345*78"),
    ],
)
def test_numbers_are_masked_but_for_their_ends(text, masked):
    assert logs.mask(text) == masked


def test_subscribers_are_masked_wherever_they_stand(lines):
    structlog.get_logger().info(
        "refused",
        session_id="pgw;1;491700000001",
        subscriber="msisdn:491700000001",
        identities=("imsi:262010000000001",),
        called=491700000002,
        rating_group=100,
    )
    (line,) = lines()
    assert line["subscriber"] == "msisdn:49170*****01"
    assert line["identities"] == ["imsi:26201********01"]
    assert line["called"] == "49170*****02"
    assert line["session_id"] == "pgw;1;491700000001"
    assert (line["event"], line["level"], line["rating_group"]) == ("refused", "info", 100)
    assert line["timestamp"].endswith("Z")


def test_levels_below_the_one_set_are_not_written(lines):
    structlog.get_logger().debug("detail")
    structlog.get_logger().warning("trouble")
    assert [line["event"] for line in lines()] == ["trouble"]


def test_what_libraries_log_comes_out_alike(lines):
    logging.getLogger("uvicorn.error").warning("request to %s failed", "somebody")
    (line,) = lines()
    assert (line["event"], line["level"]) == ("request to somebody failed", "warning")


def test_an_exception_is_one_line(lines):
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("failed", session_id="s")
    (line,) = lines()
    assert "ValueError: why" in line["exception"]


def test_the_form_for_people_is_no_json(lines):
    stream = io.StringIO()
    logs.set_up("info", "console", stream)
    structlog.get_logger().info("ready", subscriber="491700000001")
    assert "ready" in stream.getvalue()
    assert "49170*****01" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    assert lines() == []


def test_what_clients_named_does_not_move_the_terminal(lines):
    stream = io.StringIO()
    logs.set_up("info", "console", stream)
    structlog.get_logger().info("refused", session_id="pgw;\x1b[2J;1")
    assert "\x1b[2J" not in stream.getvalue()
    assert "pgw;\\x1b[2J;1" in stream.getvalue()
    assert lines() == []
