"""When a command has kept its client waiting too long: one timer for all, since all wait equally long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ocs.store.commands import Command


class Deadlines:
    """Calls `expired` for each command that is not over `timeout_s` after it was added."""

    def __init__(self, timeout_s: float, expired: Callable[[Command], None]) -> None:
        self._timeout_s = timeout_s
        self._expired = expired
        self._commands: deque[Command] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, command: Command) -> None:
        """Watch `command` from now on."""
        commands = self._commands
        while commands and commands[0].over:
            commands.popleft()
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        command.deadline_s = loop.time() + self._timeout_s
        commands.append(command)
        if self._timer is None:
            self._timer = loop.call_at(command.deadline_s, self._ring)

    def stop(self) -> None:
        """Watch nothing any more."""
        self._commands.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        while self._commands and (self._commands[0].over or self._commands[0].deadline_s <= now_s):
            command = self._commands.popleft()
            if not command.over:
                self._expired(command)
        if self._commands and self._timer is None:
            self._timer = loop.call_at(self._commands[0].deadline_s, self._ring)
