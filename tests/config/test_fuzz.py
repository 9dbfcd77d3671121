"""Whatever stands in the files, loading ends in settings or in diagnostics with sound places, never in an exception."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.config import Severity, load
from tests.config.folder import FILES, RICH, SAMPLE, write

SAMPLES = {str(path.relative_to(SAMPLE)): path.read_text() for path in sorted(SAMPLE.rglob("*.yaml"))}
WORDS = """
* *any "*any" &x *x ! !!str | > { } [ ] , ' " : - # 0 044 20:00 NO null ~ 1e3 0x10 -1 ü price rating_groups: <<: AUD EUR
""".split()
PIECES = (
    "mon-sun",
    "20:00-06:00",
    "when: peak",
    "1/0",
    "*zero1m",
    "9999-12-31T23:59:59Z",
    ",;",
    *WORDS,
    "\t",
    "\n",
    " ",
    "? ",
    "---\n",
    "%YAML 9\n",
    "\x00",
    "\ud7ff",
    "\u2028",
    "9" * 400,
    "free: true",
    "0 AUD/min",
)


def check(folder: Path) -> None:
    """Load, and look at every diagnostic: its place exists."""
    loaded, found = load(folder)
    assert (loaded is None) == any(each.severity is Severity.ERROR for each in found)
    for each in found:
        assert each.message
        assert str(each)
        if each.line:
            lines = Path(each.file).read_bytes().decode("utf-8-sig", "replace").splitlines() or [""]
            assert 1 <= each.line <= len(lines) + 1, str(each)
            assert each.column >= 1
        else:
            assert (each.column, each.path) == (0, "")


def spoiled(text: str, rng: random.Random) -> str:
    """The text after a few random edits: pieces put in, lines moved or left out, words exchanged."""
    for _ in range(rng.randint(1, 4)):
        at, lines = rng.randrange(len(text) + 1), text.splitlines(keepends=True) or [""]
        line = rng.randrange(len(lines))
        text = rng.choice(
            (
                text[:at] + rng.choice(PIECES) + text[at:],
                text[:at] + text[at + rng.randint(1, 12) :],
                "".join(lines[:line] + lines[line + 1 :]),
                "".join([*lines[:line], lines[line], *lines[line:]]),
                "".join([*lines[:line], "  " + lines[line], *lines[line + 1 :]]),
                text.replace(rng.choice(text.split() or [""]) or "x", rng.choice(PIECES), 1),
                text[:at],
            )
        )
    return text


@pytest.mark.parametrize("seed", range(300))
def test_random_edits_give_diagnostics(tmp_path, seed):
    rng = random.Random(seed)
    files = dict(rng.choice((SAMPLES, FILES, RICH)))
    for name in rng.sample(sorted(files), rng.randint(1, len(files))):
        files[name] = spoiled(files[name], rng)
    write(tmp_path, {name: text.encode("utf-8", "surrogatepass") for name, text in files.items()})
    check(tmp_path)


@pytest.mark.parametrize("seed", range(60))
def test_random_octets_give_diagnostics(tmp_path, seed):
    rng = random.Random(seed)
    files: dict[str, bytes] = {name: text.encode() for name, text in (FILES if seed % 2 else RICH).items()}
    name = rng.choice(sorted(files))
    octets = bytearray(files[name])
    for _ in range(rng.randint(1, 6)):
        octets[rng.randrange(len(octets))] = rng.randrange(256)
    files[name] = bytes(octets)
    write(tmp_path, files)
    check(tmp_path)


NODES = st.recursive(
    st.sampled_from(["x", "*any", "true", "0", "0.22 AUD/min", "1s", "", "612", "standard", "voice"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "identity realms services plans destinations accounts voice prefixes price free x *any timings "
                    "time week_days years when weight tiers from deck profiles fallback plan shared_groups members "
                    "valid_from"
                ).split()
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(FILES)),
    st.dictionaries(
        st.sampled_from("plans accounts services peers http timings profiles shared_groups valid_from tests".split()),
        NODES,
    ),
)
@settings(max_examples=150)
def test_any_tree_gives_diagnostics(tmp_path_factory, name, tree):
    folder = tmp_path_factory.mktemp("tree")
    write(folder, {**FILES, name: flow(tree)})
    check(folder)


def flow(node: object) -> str:
    """A tree in YAML's flow style, every scalar quoted."""
    if isinstance(node, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(value)}" for key, value in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(flow, node)) + "]"
    return f'"{node}"'
