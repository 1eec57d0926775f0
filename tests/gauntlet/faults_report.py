"""The report of a run: what load it held, what was done to it, what was lost."""

from __future__ import annotations

from collections import Counter

from tests.gauntlet.faults import Outcome

MIB = 1 << 20


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    lines = [heads, tuple("---" if n == 0 else "---:" for n in range(len(heads))), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def report(outcome: Outcome) -> str:
    parts = [
        [f"# The gauntlet: {outcome.seconds:g} s", ""],
        _summary(outcome),
        ["", "## Load held", "", *_load(outcome)],
        ["", "## Faults injected", "", *_faults(outcome)],
        ["", "## Not answered, as the contract allows", "", *_allowed(outcome)],
        ["", "## What the gateway holds when all is quiet", "", *_calm(outcome)],
        ["", "## Lost", "", *_lost(outcome)],
    ]
    return "\n".join(line for part in parts for line in part) + "\n"


def _summary(outcome: Outcome) -> list[str]:
    asked, verdicts = outcome.ledger.asked, _verdicts(outcome)
    length = max(one.ended for one in asked) - outcome.ledger.began
    starts = sum(outcome.diaries.starts.values())
    rows: list[tuple[object, ...]] = [
        ("requests", len(asked)),
        ("a second", f"{len(asked) / length:.0f}"),
        ("answered as they must be", verdicts["right"]),
        ("whose client went away", verdicts["left"]),
        ("not answered, as the contract allows", verdicts["allowed"]),
        ("**lost**", f"**{verdicts['lost']}**"),
        ("faults injected", outcome.ledger.faults.total()),
        ("processes started", f"{starts} ({starts / length:.1f} a second)"),
        ("processes started twice", len(outcome.diaries.twice)),
        ("orphaned by a SIGKILL, as the log had announced (slow disk)", outcome.ledger.orphans),
        ("left running", len(outcome.left_over)),
    ]
    return table(("what", "how many"), rows)


def _verdicts(outcome: Outcome) -> Counter[str]:
    return Counter(one.verdict.partition(":")[0] for one in outcome.ledger.asked)


def _load(outcome: Outcome) -> list[str]:
    rows: list[tuple[object, ...]] = []
    for kind in sorted({one.kind for one in outcome.ledger.asked}):
        ones = [one for one in outcome.ledger.asked if one.kind == kind]
        count = Counter(one.verdict.partition(":")[0] for one in ones)
        took = sorted(one.ended - one.began for one in ones if one.verdict == "right") or [0.0]
        times = [f"{1000 * took[int(len(took) * part)]:.0f}" for part in (0.5, 0.99)]
        rows.append((kind, len(ones), count["right"], count["left"], count["allowed"], count["lost"], *times))
    return table(("requests", "asked", "right", "left", "allowed", "lost", "p50 ms", "p99 ms"), rows)


def _faults(outcome: Outcome) -> list[str]:
    return table(("fault", "times"), sorted(outcome.faults.items()))


def _allowed(outcome: Outcome) -> list[str]:
    verdicts = Counter(one.verdict for one in outcome.ledger.asked if one.verdict.startswith("allowed"))
    rows: list[tuple[object, ...]] = [(why.removeprefix("allowed: "), n) for why, n in sorted(verdicts.items())]
    return table(("why", "times"), rows)


def _calm(outcome: Outcome) -> list[str]:
    heads = ("when", "gateway", "memory MiB", "descriptors", "threads", "tasks", "objects")
    names = ("after the warm-up", "after the first half", "at the end")
    rows: list[tuple[object, ...]] = [
        (name, f"no. {one.generation}", f"{one.memory / MIB:.1f}", one.files, one.threads, one.tasks, one.objects)
        for name, one in zip(names, outcome.calm, strict=False)
    ]
    return table(heads, rows)


def _lost(outcome: Outcome) -> list[str]:
    ledger, lines = outcome.ledger, []
    for one in ledger.lost[:40]:
        at = f"{one.began - ledger.began:.2f}-{one.ended - ledger.began:.2f} s"
        lines.append(f"- {one.id} ({one.method} to {one.service}, {at}): {one.verdict} {one.words[:300]}")
    lines += [f"- {each[:600]}" for each in [*ledger.wrong, *outcome.diaries.twice, *outcome.left_over][:40]]
    lines += [f"- {each[:600]}" for each in outcome.mistakes[:10]]
    return lines or ["Nothing."]
