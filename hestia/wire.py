"""Words that `hestia` and `hestiactl` share with scripts. Standard library only: `hestiactl` imports nothing else."""

# Exit codes; the numbers between these come with the commands that answer them.
DONE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 7
INTERRUPTED = 130
