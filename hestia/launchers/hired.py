"""A command that is run to its end: a stop command, a start or a status. What it prints goes to its service's output.

It writes to the file itself, so that no pipe is to be drained, however much it prints, and what it leaves in the
background goes on writing after it.
"""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping

from hestia.launchers.ending import end, until_ended
from hestia.launchers.gate import Gated
from hestia.launchers.output import Output, nowhere
from hestia.launchers.owned import Owned

LOOK_EVERY_S = 1.0


class Hired:
    """One run of a command, in a session of its own."""

    def __init__(
        self, command: tuple[str, ...], env: Mapping[str, str], cwd: str, output: Output, *, keep: bool = True
    ) -> None:
        self._command, self._env, self._cwd, self._output, self._keep = command, env, cwd, output, keep

    async def run(self, written_down: Callable[[Owned], Awaitable[None]] | None = None) -> int:
        """Its exit code, or minus the signal that ended it; nothing of it runs before it is written down.

        Raises LaunchFailed. Cancelled, it ends the command with all its processes; when the command ends by itself,
        what it left in the background lives on.
        """
        gated = self._spawn()
        try:
            if written_down is not None:
                await written_down(gated.owned)
            gated.open()
            await until_ended(gated.owned, LOOK_EVERY_S, self._output.tidy)
        except BaseException:
            gated.shut()
            await end(gated.owned, signal.SIGKILL, 0.0)
            gated.child.poll()
            raise
        return gated.child.wait()  # it has ended: this only reaps it

    def _spawn(self) -> Gated:
        descriptor = self._output.open() if self._keep else nowhere()
        try:
            return Gated(self._command, self._env, self._cwd, descriptor)
        finally:
            os.close(descriptor)
