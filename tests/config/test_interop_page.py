"""docs/interop.md shows what the tests of other programs run, and what the server takes."""

import re
import shutil
from pathlib import Path
from string import Template

import pytest
import trustme
import yaml

from ocs.config import load
from tests.interop.freediameter import TO_OCS, TO_OCS_BY_TLS, admitted, connect_peer

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "interop.md").read_text()
FENCES = re.findall(r"^(?:<!-- ([^\n]*) -->\n)?```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOT_RUN = "not run"
SERVER = "server.yaml"
BY_TLS = " by TLS"

# The words of the page, for the templates' variables.
WORDS = {
    "freediameter.conf": {
        "identity": "relay.transit.example",
        "realm": "transit.example",
        "address": "10.9.0.7",
        "port": 3868,
        "secure_port": 5658,
        "tw": 30,
        "folder": "/etc/freeDiameter",
        "connect_peer": connect_peer("10.9.0.1", TO_OCS),
    },
    "acl.conf": {"clients": admitted("ocs.example.com pgw.example.net", by_tls=False)},
    "cdp.xml": {
        "identity": "scscf.ims.example.com",
        "realm": "ims.example.com",
        "server_identity": "ocs.example.com",
        "server_realm": "example.com",
        "server_port": 3868,
    },
    "kamailio.cfg": {
        "identity": "scscf.ims.example.com",
        "realm": "ims.example.com",
        "server_identity": "ocs.example.com",
        "destination_realm": "ims.example.com",
        "folder": "/etc/kamailio",
        "modules": "/usr/lib/x86_64-linux-gnu/kamailio/modules/",
        "reserve_s": 30,
        "buffer_s": 5,
        "sip_port": 5060,
        "uas_port": 5070,
    },
}
WORDS_BY_TLS = {
    "freediameter.conf": WORDS["freediameter.conf"] | {"connect_peer": connect_peer("10.9.0.1", TO_OCS_BY_TLS)},
    "acl.conf": {"clients": admitted("pgw.example.net", by_tls=True)},
}


def shown(kind: str) -> list[tuple[str, str]]:
    return [(name, text) for name, text in FENCES if (name == SERVER) == (kind == SERVER) and name != NOT_RUN]


def test_every_fence_says_where_it_comes_from():
    assert PAGE.count("\n```\n") == 2 * len(FENCES)
    assert all(name for name, _ in FENCES)
    assert {Path(name.removesuffix(BY_TLS)).name for name, _ in FENCES} == {*WORDS, SERVER, NOT_RUN}


@pytest.mark.parametrize(("name", "text"), shown("template"))
def test_what_the_other_program_reads_is_what_the_tests_give_it(name, text):
    template = ROOT / name.removesuffix(BY_TLS)
    words = (WORDS_BY_TLS if name.endswith(BY_TLS) else WORDS)[template.name]
    given = iter(Template(template.read_text()).substitute(words).splitlines())
    for line in text.splitlines():
        # Some of its lines may be left out; those that are shown come in its order.
        assert line in given, line


@pytest.mark.parametrize(("name", "text"), shown(SERVER))
def test_what_the_server_reads_is_a_configuration(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "config", "config")
    Path("config/tls").mkdir()
    authority = trustme.CA()
    issued = authority.issue_cert("ocs.example.com")
    issued.cert_chain_pems[0].write_to_path("config/tls/cert.pem")
    issued.private_key_pem.write_to_path("config/tls/key.pem")
    authority.cert_pem.write_to_path("config/tls/ca.pem")
    file = Path("config", SERVER)
    sample = yaml.load(file.read_text(), yaml.BaseLoader)
    file.write_text(yaml.safe_dump(sample | yaml.load(text, yaml.BaseLoader)))
    settings, problems = load(Path("config"))
    assert [str(problem) for problem in problems] == []
    assert settings is not None
