"""Through which peer a host was heard of last: where requests of our own to it go (RFC 6733 6.1). Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ocs.diameter.base_answers import ORIGIN_HOST, ORIGIN_REALM
from ocs.diameter.wire import Message
from ocs.limits import PATHS_MAX


class Path(msgspec.Struct, frozen=True):
    """via: name of the peer, in lower case; realm: of the host, as it says itself."""

    via: str
    realm: str


class Paths:
    """The last peer of each Origin-Host, of PATHS_MAX hosts; the one that was learned first goes first.

    A host that is forgotten is learned again by its next request.
    """

    def __init__(self) -> None:
        self._by_name: dict[bytes, Path] = {}

    def learn(self, via: str, message: Message) -> None:
        """Note where a request came from, whose grammar was checked."""
        name = message.find(ORIGIN_HOST)
        if name is None:
            return
        known = self._by_name.get(name.data)
        if known is not None and known.via == via:
            return
        key = name.data.lower()  # names that are written otherwise are looked up twice, which is rare
        known = self._by_name.pop(key, None)
        if known is None and len(self._by_name) >= PATHS_MAX:
            del self._by_name[next(iter(self._by_name))]
        realm = message.find(ORIGIN_REALM)
        self._by_name[key] = Path(via, "" if realm is None else realm.data.decode("ascii", "replace"))

    def find(self, host: str) -> Path | None:
        """The way to `host`, None where it was not heard of."""
        return self._by_name.get(host.lower().encode("ascii", "replace"))

    def hosts(self, peers: Collection[str]) -> set[str]:
        """The hosts, in lower case, that were heard of through one of `peers` last."""
        return {name.decode("ascii", "replace") for name, path in self._by_name.items() if path.via in peers}
