"""The tables of docs/performance.md: where they go, and what a row says."""

import pytest

from bench.tables import PAGE, TABLES, machine_line, put, render

FIGURES = {
    "requests_per_s": 8_123.4,
    "cpu_us_per_request": 109.6,
    "batch_size": 31.25,
    "rate_per_s": 4_061,
    "p50_ms": 1.234,
    "p99_ms": 5.678,
    "p99_9_ms": 9.1,
    "echo_p99_ms": 0.9,
    "bare_commit_p50_ms": 1.1,
    "p99_ratio": 2.84,
    "maximum": {"postgres_cpu_us_per_request": None},
    "rss_start_octets": 50 * 1_048_576,
    "rss_end_octets": 90 * 1_048_576,
    "rss_growth_octets_per_session": 3_072,
    "problems": [],
    "client": "c",
    "machine": {"processor": "Z80", "cores": 2, "python": "3.11.7", "kernel": "6.1"},
    "store": {"kind": "sqlite", "durable": True, "fsync": "synchronous=FULL"},
    "options": {"connections": 10, "window": 32, "seconds": 20.0},
}


def test_the_page_has_a_place_for_each_table():
    page = PAGE.read_text()
    for table in TABLES:
        assert "new words" in put(page, table.name, "new words")


def test_only_what_stands_between_its_markers_is_replaced():
    page = "before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter\n"
    assert put(page, "a", "| x |") == "before\n<!-- bench:a -->\n| x |\n<!-- /bench:a -->\nafter\n"
    with pytest.raises(ValueError, match="no place for b"):
        put(page, "b", "")


def test_a_table_says_what_where_and_how_fast():
    (table,) = [each for each in TABLES if each.name == "accounts"]
    text = render(table, [FIGURES] * len(table.rows))
    assert "Z80, 2 cores shared with the client in C" in text
    assert "sqlite (fsync synchronous=FULL)" in text
    row = next(line for line in text.splitlines() if line.startswith("| postgres, 1,000,000, cold |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == [
        "8,123", "110", "", "31.2", "4,061", "1.23", "5.68", "9.10", "0.90", "1.10", "2.8", "50", "90", "3,072",
    ]  # fmt: skip
    assert machine_line([FIGURES]).endswith("20 s.")


def test_problems_are_not_left_out_of_the_table():
    (table,) = [each for each in TABLES if each.name == "hot"]
    text = render(table, [{**FIGURES, "problems": ["7 requests got no answer"]}] * len(table.rows))
    assert text.count("PROBLEM: 7 requests got no answer") == 2


def test_every_row_is_a_run_that_can_be():
    for table in TABLES:
        assert len({row.name for row in table.rows}) == len(table.rows)
        for row in table.rows:
            row.options.check()
