#!/bin/sh
# Stands in for ssh: the other machine is this one. It has a session of its own, as sshd gives it.
for word in "$@"; do command=$word; done
if [ -e "$OTHER/down" ]; then
  echo "ssh: connect to host box port 22: Connection refused" >&2
  exit 255
fi
echo "$@" >>"$OTHER/words"
cd "$OTHER" || exit 255
setsid -w sh -c "$command" 9>&-
code=$?
if [ -e "$OTHER/asleep" ]; then
  echo "Connection to box closed by remote host." >&2
  exit 255
fi
exit $code
