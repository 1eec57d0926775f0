"""Shell completion, made from the command tree. Ids of services, machines, requests and keys come from the gateway."""

from __future__ import annotations

from hestia.ctl.commands import COMMANDS, EVERYWHERE, Command, Option

IDS = frozenset({"services", "machines", "requests", "keys"})


def completion(shell: str) -> str:
    """The script that `source` or the completion folder of this shell takes."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _shown() -> list[Command]:
    return [command for command in COMMANDS if not command.hidden]


def _firsts() -> list[tuple[str, str]]:
    """First words of commands, each with a sentence."""
    found: dict[str, str] = {}
    for command in _shown():
        first, _, rest = command.name.partition(" ")
        found.setdefault(first, command.says if not rest else f"{first}: {_seconds(first)}")
    return list(found.items())


def _seconds(first: str) -> str:
    return " ".join(command.name.partition(" ")[2] for command in _shown() if command.name.startswith(first + " "))


def _flags(options: tuple[Option, ...]) -> str:
    return " ".join(word for option in options for word in (option.flag, option.short) if word)


def _with_value(options: list[Option]) -> list[str]:
    takes = [each for each in options if each.value and not each.optional]
    return sorted({word for each in takes for word in (each.flag, each.short) if word})


def _every() -> list[Option]:
    return [*EVERYWHERE, *(option for command in _shown() for option in command.options)]


def _kind(command: Command) -> tuple[str, str]:
    """What its first word is: ids of the gateway, `files`, or the choices themselves."""
    arg = command.args[0] if command.args else None
    if arg is None:
        return "", ""
    return arg.kind, " ".join(arg.choices)


def _posix(ids: str, files: str) -> list[str]:
    """The middle of the bash and zsh scripts: `words` for the place that is completed."""
    lines = [
        '  case "$previous" in',
        "    --format) words='json text' ;;",
        f"    {'|'.join(_with_value(_every()))}) {files}; return ;;",
        "  esac",
    ]
    lines += ['  if [ -z "$words" ]; then case "$first $second" in']
    for command in sorted(_shown(), key=lambda each: " " not in each.name):
        pattern = f'"{command.name}"' if " " in command.name else f'"{command.name} "*'
        kind, choices = _kind(command)
        words = " ".join(filter(None, [_seconds(command.name), choices, _flags(command.options), _flags(EVERYWHERE)]))
        more = f" {ids.replace('KIND', kind)}" if kind in IDS else f" {files};" if kind == "files" else ""
        lines.append(f"    {pattern}) words='{words}';{more} ;;")
    groups = sorted(
        {command.name.partition(" ")[0] for command in _shown() if " " in command.name}
        - {each.name for each in _shown()}
    )
    lines += [f"    \"{first} \"*) words='{_seconds(first)}' ;;" for first in groups]
    lines += [f"    *) words='{' '.join(first for first, _ in _firsts())} {_flags(EVERYWHERE)}' ;;", "  esac; fi"]
    return lines


def _word(takes: str) -> list[str]:
    """Before the place that is completed: a flag that takes the next word, another flag, or a word of the command."""
    return [
        '    case "$word" in',
        f"      {takes}) skip=1 ;;",
        "      -*) ;;",
        '      *) if [ -z "$first" ]; then first=$word; elif [ -z "$second" ]; then second=$word; fi ;;',
        "    esac",
    ]


def _bash() -> str:
    ids = 'words="$words $(hestiactl __complete KIND 2>/dev/null)";'
    takes = "|".join(_with_value(_every()))
    lines = [
        "# hestiactl completion for bash: source <(hestiactl completion bash)",
        "_hestiactl() {",
        "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
        "  local first= second= words= word skip= i",
        "  for ((i = 1; i < COMP_CWORD; i++)); do",
        "    word=${COMP_WORDS[i]}",
        '    if [ -n "$skip" ]; then skip=; continue; fi',
        *_word(takes),
        "  done",
        *_posix(ids, 'COMPREPLY=($(compgen -f -- "$current"))'),
        '  COMPREPLY+=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -F _hestiactl hestiactl",
    ]
    return "\n".join(lines)


def _zsh() -> str:
    ids = 'words="$words $(hestiactl __complete KIND 2>/dev/null)";'
    takes = "|".join(_with_value(_every()))
    middle = [line.replace("words=", "offered=").replace("$words", "$offered") for line in _posix(ids, "_files")]
    described = " ".join(f"'{first}:{_quoted(says)}'" for first, says in _firsts())
    lines = [
        "#compdef hestiactl",
        "# hestiactl completion for zsh: source <(hestiactl completion zsh)",
        "_hestiactl() {",
        "  local previous=${words[CURRENT-1]} first= second= offered= word skip= i",
        "  for ((i = 2; i < CURRENT; i++)); do",
        "    word=${words[i]}",
        '    if [ -n "$skip" ]; then skip=; continue; fi',
        *_word(takes),
        "  done",
        '  if [ -z "$first" ] && [[ ${words[CURRENT]} != -* ]] && [[ $previous != -* || $skip = "" ]]; then',
        "    local -a commands",
        f"    commands=({described})",
        "    _describe command commands",
        "    return",
        "  fi",
        *middle,
        "  compadd -- ${=offered}",
        "}",
        "if (( $+functions[compdef] )); then compdef _hestiactl hestiactl; fi",
    ]
    return "\n".join(lines)


def _quoted(says: str) -> str:
    """For single quotes, and for `_describe`, where a colon divides."""
    return says.replace("'", "'\\''").replace(":", "\\:")


def _fish() -> str:
    lines = ["# hestiactl completion for fish: hestiactl completion fish | source", "complete -c hestiactl -f"]
    lines += [
        f"complete -c hestiactl -n __fish_use_subcommand -a {first} -d {_fish_text(says)}" for first, says in _firsts()
    ]
    lines += [f"complete -c hestiactl {_fish_option(option)}" for option in EVERYWHERE]
    for command in _shown():
        lines += _fish_command(command)
    return "\n".join(lines)


def _fish_command(command: Command) -> list[str]:
    first, _, second = command.name.partition(" ")
    seen = f"__fish_seen_subcommand_from {first}" + (f"; and __fish_seen_subcommand_from {second}" if second else "")
    lines = [f"complete -c hestiactl -n '{seen}' {_fish_option(option)}" for option in command.options]
    if second:
        lines.append(
            f"complete -c hestiactl -n '__fish_seen_subcommand_from {first}' -a {second} -d {_fish_text(command.says)}"
        )
    kind, choices = _kind(command)
    if kind in IDS:
        lines.append(f"complete -c hestiactl -n '{seen}' -a '(hestiactl __complete {kind} 2>/dev/null)'")
    elif kind == "files":
        lines.append(f"complete -c hestiactl -n '{seen}' -F")
    elif choices:
        lines.append(f"complete -c hestiactl -n '{seen}' -a '{choices}'")
    return lines


def _fish_option(option: Option) -> str:
    words = [f"-l {option.flag.removeprefix('--')}"]
    words += [f"-s {option.short.removeprefix('-')}"] if option.short else []
    words += ["-r"] if option.value and not option.optional else []
    words += [f"-a '{' '.join(option.choices)}'"] if option.choices else []
    return " ".join([*words, f"-d {_fish_text(option.says)}"])


def _fish_text(says: str) -> str:
    return "'" + says.replace("\\", "\\\\").replace("'", "\\'") + "'"
