#!/bin/bash
# Stands in for ssh: the other machine is this one. As ssh does, it closes what it has inherited, and as sshd does, it
# gives the command a session of its own.
for file in /proc/self/fd/*; do
  number=${file##*/}
  if [ "$number" -gt 2 ] && [ "$number" -ne 255 ]; then eval "exec $number>&-"; fi
done
command=${!#}
if [ -e "$OTHER/down" ]; then
  echo "ssh: connect to host box port 22: Connection refused" >&2
  exit 255
fi
echo "$@" >>"$OTHER/words"
cd "$OTHER" || exit 255
setsid -w sh -c "$command"
code=$?
if [ -e "$OTHER/asleep" ]; then
  echo "Connection to box closed by remote host." >&2
  exit 255
fi
exit $code
