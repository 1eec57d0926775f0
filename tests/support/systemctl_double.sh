#!/bin/sh
# Stands in for systemctl and journalctl. A unit is a folder below $UNITS with its state in files; what it does stands
# in its name: slow-*, failing-*, crashing-*, lost-* (there is none), stubborn-* (must be killed, and is failed then).
# Beside `active` it counts in `count` how many run.
set -u
units=$UNITS
if [ -e "$units/down" ]; then
  echo "Failed to connect to bus: No medium found" >&2
  exit 1
fi

case $0 in
*journalctl*)
  while [ $# -gt 0 ]; do
    case $1 in -u) unit=$2; shift ;; -n) last=$2; shift ;; -f) follow=1 ;; esac
    shift
  done
  [ -f "$units/$unit/journal" ] || exit 0
  if [ -n "${follow-}" ]; then exec tail -n 0 -f "$units/$unit/journal"; fi
  exec tail -n "$last" "$units/$unit/journal"
  ;;
esac

block=yes verb=
while [ "$1" != -- ]; do
  case $1 in
  --no-block) block=no ;;
  --user | --no-ask-password | --no-pager) ;;
  -p) shift ;;
  *) verb=$1 ;;
  esac
  shift
done
unit=$2
folder=$units/$unit

exec 9>"$units/lock" # the manager does one thing at a time
flock 9
release() { exec 9>&-; }

state() { cat "$folder/active" 2>/dev/null || echo inactive; }
become() { echo "$1" >"$folder/active.new$$" && mv "$folder/active.new$$" "$folder/active"; }

begin() { # the job, which the manager does and not systemctl
  case $unit in
  slow-*)
    become activating
    (
      sleep 0.3
      [ "$(state)" = activating ] && echo 1 >"$folder/count" && become active
    ) 9>&- >/dev/null 2>&1 &
    ;;
  failing-*)
    echo "no model here" >>"$folder/journal"
    echo exit-code >"$folder/result"
    become failed
    ;;
  crashing-*)
    become active
    (
      sleep 0.05
      echo "it fell over" >>"$folder/journal"
      echo exit-code >"$folder/result"
      become failed
    ) 9>&- >/dev/null 2>&1 &
    ;;
  *)
    [ -e "$folder/result" ] && exit 1 # it failed too often: reset-failed comes first
    echo $(($(cat "$folder/count" 2>/dev/null || echo 0) + 1)) >"$folder/count"
    become active
    ;;
  esac
}

case $verb in
show)
  case $unit in lost-*) load=not-found ;; *) load=loaded ;; esac
  echo "ActiveState=$(state)"
  echo "SubState=$(cat "$folder/sub" 2>/dev/null)"
  echo "LoadState=$load"
  echo "Result=$(cat "$folder/result" 2>/dev/null || echo success)"
  echo "ExecMainStatus=3"
  ;;
start)
  case $unit in lost-*) echo "Failed to start $unit: Unit $unit not found." >&2; exit 5 ;; esac
  mkdir -p "$folder"
  case $(state) in inactive | failed) begin ;; esac
  release
  [ $block = no ] && exit 0
  while [ "$(state)" = activating ]; do sleep 0.02; done
  case $unit in
  crashing-*) exit 0 ;;
  esac
  [ "$(state)" = active ] || {
    echo "Job for $unit failed or was canceled." >&2
    exit 1
  }
  ;;
stop)
  case $unit in lost-*) echo "Failed to stop $unit: Unit $unit not loaded." >&2; exit 5 ;; esac
  [ -d "$folder" ] || exit 0
  echo 0 >"$folder/count"
  case $unit in
  stubborn-*) echo timeout >"$folder/result"; become failed ;;
  holding-*) echo "Access denied" >&2; exit 1 ;;
  *) [ "$(state)" = failed ] || become inactive ;;
  esac
  ;;
reset-failed)
  rm -f "$folder/result"
  become inactive
  ;;
esac
exit 0
