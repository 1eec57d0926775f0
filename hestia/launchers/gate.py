"""A child that waits at a gate: nothing of it runs before it is written down.

`sh` waits for a line on its standard input, and becomes the program when it comes: the pid stays the same. If the
gateway dies first, the pipe ends and so does the child. (Without it, a gateway that was killed between spawning and
recording left two of one service.) Not in `preexec_fn`: Popen returns only after the exec, so that it would wait for
itself.
"""

import contextlib
import os
import subprocess
from collections.abc import Mapping
from typing import Final

from hestia.launchers.environment import runnable
from hestia.launchers.last_words import GATE, why_not
from hestia.launchers.owned import Owned, own
from hestia.ports import LaunchFailed

_WAIT: Final = 'read -r x && exec "$@" </dev/null'


class Gated:
    """A child in a session of its own; `open` lets it become the program, `shut` ends it before that."""

    def __init__(self, command: tuple[str, ...], env: Mapping[str, str], cwd: str, output: int) -> None:
        """Blocks for the few milliseconds of a spawn. Raises LaunchFailed."""
        words = runnable(command, env, cwd)
        try:
            self.child = subprocess.Popen(  # noqa: S603 -- the operator's own command, no shell reads its words
                ("/bin/sh", "-c", _WAIT, GATE, *words),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = why_not(error) if isinstance(error, OSError) else str(error)
            raise LaunchFailed(f"{command[0]}: {reason}") from error
        self.owned: Owned = own(self.child.pid)

    @property
    def waiting(self) -> bool:
        return self.child.stdin is not None and not self.child.stdin.closed

    def open(self) -> None:
        if self.waiting:
            with contextlib.suppress(OSError):  # it was killed at the gate: its exit is seen elsewhere
                os.write(self._pipe(), b"\n")
        self.shut()

    def shut(self) -> None:
        if self.child.stdin is not None:
            with contextlib.suppress(OSError):
                self.child.stdin.close()

    def _pipe(self) -> int:
        assert self.child.stdin is not None  # noqa: S101 -- Popen was asked for it
        return self.child.stdin.fileno()
