"""YAML files are read as strings with positions, within bounds, and every refusal has a place."""

from itertools import pairwise
from pathlib import Path

import pytest

from ocs.config import document
from ocs.config.diagnostics import Problems
from ocs.config.document import Items, Pairs, Scalar, read

TAG = 'remove it, or put quotes around a text that begins with !, such as "!au-mobile"'
TAB = "not YAML: while scanning for the next token found character that cannot start any token"
COLON = "look at the indentation, and put quotes around a text with a colon in it"


def refused(tmp_path: Path, octets: bytes) -> str:
    """The one problem of a file, without its folder."""
    path = tmp_path / "a.yaml"
    path.write_bytes(octets)
    problems = Problems()
    assert read(path, problems) is None
    (found,) = problems.sorted()
    return str(found).replace(f"{tmp_path}/", "")


def tree(tmp_path: Path, text: str) -> document.Node:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    problems = Problems()
    node = read(path, problems)
    assert node is not None, problems.sorted()
    return node


@pytest.mark.parametrize(
    "text",
    [
        "20:00",
        "044",
        "NO",
        "1_000",
        "0x10",
        "1e3",
        "true",
        "null",
        "~",
        "2026-11-21",
        "1.10",
        "0o17",
        ".inf",
        "=",
        "<<",
    ],
)
def test_a_scalar_stays_what_was_written(tmp_path, text):
    assert tree(tmp_path, f"a: {text}\n") == Pairs(1, 1, ((Scalar(1, 1, "a"), Scalar(1, 4, text)),))


def test_positions_are_counted_in_characters_from_one(tmp_path):
    node = tree(tmp_path, '# ü\n"ö": [ä, "é", {x: 1}]\nempty:\nquoted: ""\n')
    assert node == Pairs(
        2,
        1,
        (
            (
                Scalar(2, 1, "ö", quoted=True),
                Items(
                    2,
                    6,
                    (
                        Scalar(2, 7, "ä"),
                        Scalar(2, 10, "é", quoted=True),
                        Pairs(2, 15, ((Scalar(2, 16, "x"), Scalar(2, 19, "1")),)),
                    ),
                ),
            ),
            (Scalar(3, 1, "empty"), Scalar(3, 7, "")),
            (Scalar(4, 1, "quoted"), Scalar(4, 9, "", quoted=True)),
        ),
    )


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    expected = Pairs(1, 1, ((Scalar(1, 1, "a"), Scalar(1, 4, "1")), (Scalar(2, 1, "b"), Scalar(2, 4, "2"))))
    assert read(path, Problems()) == expected


def test_an_anchor_is_read_again_where_its_alias_stands(tmp_path):
    node = tree(tmp_path, "a: &x {y: 1}\nb: *x\n")
    assert isinstance(node, Pairs)
    assert node.pairs[1][1] is node.pairs[0][1]


REFUSALS = {
    "tab": (b"a:\n\tb: 1\n", f"2:1: is {TAB}, indent with spaces, not with tabs"),
    "tab after blanks": (b"a:\n  b: 1\n  \tc: 1\n", "3:3: "),
    "indentation": (b"a: b\n c: d\n", f"2:3: is not YAML: mapping values are not allowed in this context, {COLON}"),
    "open list": (b"a: [1\nb: 2\n", "2:2: is not YAML: while parsing a flow sequence did not find expected ',' or ']'"),
    "open quote": (
        b"a: 'b\n",
        "2:1: is not YAML: while scanning a quoted scalar found unexpected end of stream, a quote is not closed",
    ),
    "any": (b"a:\n  *any: 1\n", '2:3: *any refers to no anchor above it, write "*any" in quotes where a text is meant'),
    "inside itself": (
        b"a: &x [*x]\n",
        '1:8: *x refers to no anchor above it, write "*x" in quotes where a text is meant',
    ),
    "python tag": (
        b"a: !!python/object:os.system x\n",
        f'1:4: has the tag "tag:yaml.org,2002:python/object:os.system"; tags are not used here, {TAG}',
    ),
    "excluded": (b"a: [!au-mobile ]\n", f'1:5: has the tag "!au-mobile"; tags are not used here, {TAG}'),
    "excluded at the end": (
        b"a: [!x]\n",
        f"1:7: is not YAML: while scanning a tag did not find expected whitespace or line break, {TAG}",
    ),
    "two documents": (b"a: 1\n---\nb: 2\n", "2:1: a second document begins here, remove the ---"),
    "control character": (b"a: 1\nb: \x07\n", "2:4: has a control character (U+0007), remove it"),
    "not UTF-8": ("a: 1\nö: ".encode() + b"\xe9\n", "2:4: is not UTF-8 text, save the file as UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "1:1: is not UTF-8 text, save the file as UTF-8"),
    "deep": (b"a: " + b"[" * 5_000, "1:35: is nested deeper than 32 levels"),
    "deep in blocks": (b"\n".join(b" " * n + b"a:" for n in range(40)), "33:33: is nested deeper than 32 levels"),
}


@pytest.mark.parametrize(("octets", "said"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_not_yaml_is_refused_with_its_place(tmp_path, octets, said):
    found = refused(tmp_path, octets)
    assert found.startswith(f"a.yaml:{said}") if said.endswith(": ") else found == f"a.yaml:{said}"


@pytest.mark.parametrize("octets", [b"", b"# nothing\n", b"\n\n", b"---\n...\n"])
def test_an_empty_file_is_refused_as_a_whole(tmp_path, octets):
    assert refused(tmp_path, octets) == "a.yaml: is empty"


def test_a_billion_laughs_end_at_the_bound(tmp_path):
    lines = [b"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    names = b"abcdefghij"
    for before, name in pairwise(names):
        lines.append(b"%c: &%c [%s]" % (name, name, b", ".join([b"*%c" % before] * 10)))
    assert "has more than 1000000 values, aliases followed" in refused(tmp_path, b"\n".join(lines))


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "FILE_OCTETS_MAX", 1_048_576)
    assert refused(tmp_path, b"a: " + b"x" * 1_048_576) == "a.yaml: is larger than 1 MiB, split it"


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    problems = Problems()
    assert read(tmp_path / "none.yaml", problems) is None
    assert read(tmp_path, problems) is None
    assert [str(found) for found in problems.sorted()] == [
        f"{tmp_path}: cannot be read: is a directory",
        f"{tmp_path}/none.yaml: cannot be read: no such file or directory",
    ]
