"""A bounded memory of where names lead: the last used stay."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

_Name = TypeVar("_Name", bound=Hashable)


class Names(Generic[_Name]):
    """Name -> account id, of the last `limit` names used."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: OrderedDict[_Name, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._names)

    def get(self, name: _Name) -> str | None:
        """The account, None where it has to be looked up."""
        account_id = self._names.get(name)
        if account_id is not None:
            self._names.move_to_end(name)
        return account_id

    def put(self, name: _Name, account_id: str) -> None:
        """Remember it."""
        names = self._names
        names[name] = account_id
        names.move_to_end(name)
        if len(names) > self._limit:
            names.popitem(last=False)

    def forget(self, name: _Name) -> None:
        """It may lead elsewhere from now on."""
        self._names.pop(name, None)

    def clear(self) -> None:
        """All of them may."""
        self._names.clear()
