"""AVPs by the names of the dictionary, for the simulated clients: plain values in, octets out, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocs.diameter.dictionary import BY_KEY, BY_NAME
from ocs.diameter.types import PACK, UNPACK, AvpType
from ocs.diameter.wire import Avp, encode_avp

Tree = Mapping[str, Any]
"""Name -> value, a Tree for a grouped AVP, or a list of either for several; None is left out."""


def encode(tree: Tree) -> bytes:
    """The AVPs of `tree`, in its order."""
    return b"".join(
        _encode(name, value)
        for name, values in tree.items()
        for value in (values if isinstance(values, list) else [values])
        if value is not None
    )


def _encode(name: str, value: Any) -> bytes:
    definition = BY_NAME[name]
    data = encode(value) if definition.type is AvpType.GROUPED else PACK[definition.type](value)
    return encode_avp(definition.code, data, definition.vendor_id, definition.mandatory)


def decode(avps: list[Avp], depth: int = 1) -> dict[str, Any]:
    """Name -> value, or the list of values where an AVP comes more than once; what has no name is left out."""
    found: dict[str, Any] = {}
    for avp in avps:
        definition = BY_KEY.get((avp.code, avp.vendor_id))
        if definition is None:
            continue
        grouped = definition.type is AvpType.GROUPED
        value = decode(avp.children(depth), depth + 1) if grouped else UNPACK[definition.type](avp)
        if definition.name in found:
            before = found[definition.name]
            found[definition.name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[definition.name] = value
    return found
