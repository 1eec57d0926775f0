#!/bin/sh
# start, stop or ask about a service that lives on after its start: NAME FOLDER PYTHON UPSTREAM PORT VERB
# `FOLDER/NAME.hangs`: the start hangs while it is there. `FOLDER/NAME.once`: one start takes it away, and hangs.
ulimit -S -f unlimited # the gateway's disk may be full; ours is not
name=$1 folder=$2 python=$3 upstream=$4 port=$5 verb=$6
pid=$folder/$name.pid
lives() { test -s "$pid" && grep -q . "/proc/$(cat "$pid")/environ" 2>/dev/null; }
case $verb in
start)
  lives && exit 0
  if rm "$folder/$name.once" 2>/dev/null; then sleep 3600; fi
  while test -e "$folder/$name.hangs"; do sleep 0.05; done
  "$python" -S -E "$upstream" "$name" "$port" "$folder/diaries" >/dev/null 2>&1 &
  echo $! >"$pid.next" && mv "$pid.next" "$pid"
  ;;
stop)
  lives || exit 0
  kill "$(cat "$pid")" 2>/dev/null
  while lives; do sleep 0.02; done
  rm -f "$pid"
  ;;
status) lives ;;
esac
