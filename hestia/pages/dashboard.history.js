// The last 24 hours of every service, out of the activity. No page in here: entries in, stretches of time out.

import { cause, keptBy, says } from "./dashboard.words.js";

export const DAY_MS = 86_400_000;
const MOST = 3000; // changes of one service that are kept
const FOUND = ["adoption", "found"];
/** What it was before the first thing that is known of it. */
const BEFORE = {
  "service.starting": "cold",
  "service.ready": "starting",
  "service.start_failed": "starting",
  "service.idle": "hot",
  "service.busy": "hot",
  "service.stopped": "stopping",
  "service.died": "hot",
};

export class History {
  constructor() {
    this.of = new Map();
    this.newest = 0; // the time of the newest entry
  }

  /** Takes an entry of the activity, once; false where it is none of a service's states. */
  add(entry) {
    const at = Date.parse(entry.ts);
    if (Number.isNaN(at)) return false;
    this.newest = Math.max(this.newest, at);
    if (!entry.service || !entry.state || !entry.kind.startsWith("service.")) return false;
    let changes = this.of.get(entry.service);
    if (!changes) this.of.set(entry.service, (changes = { ids: new Set(), rows: [], sorted: true }));
    if (changes.ids.has(entry.id)) return false;
    changes.ids.add(entry.id);
    changes.rows.push({ id: entry.id, at, state: entry.kind === "service.starting" ? "starting" : entry.state, kind: entry.kind, cause: entry.cause, by: FOUND.includes(entry.cause) ? "" : entry.more?.who || cause(entry.cause), why: says(entry), kept: keptBy(entry) });
    changes.sorted = false;
    return true;
  }

  #rows(id, now) {
    const changes = this.of.get(id);
    if (!changes) return [];
    if (!changes.sorted) {
      changes.rows.sort((one, other) => one.id - other.id);
      const first = changes.rows.findIndex((row) => row.at >= now - DAY_MS);
      const cut = Math.max(first === -1 ? changes.rows.length - 1 : first - 1, changes.rows.length - MOST, 0);
      for (const row of changes.rows.splice(0, cut)) changes.ids.delete(row.id); // one from before says how the day began
      changes.sorted = true;
    }
    return changes.rows;
  }

  /** Since when it is in its state, and why, as far as that is known. */
  latest(id, state) {
    const rows = this.of.get(id) ? this.#rows(id, Date.now()) : [];
    let found = null;
    for (let index = rows.length - 1; index >= 0 && rows[index].state === state; index -= 1) found = rows[index];
    return found;
  }

  /** Who or what woke it last; nothing when it ran already. */
  woke(id) {
    const rows = this.of.get(id) ? this.#rows(id, Date.now()) : [];
    return rows.findLast((row) => row.kind === "service.starting" || FOUND.includes(row.cause))?.by ?? "";
  }

  /** `[{from, to, state, why, kept, then}]`, oldest first, without a gap from a day ago until now. */
  stretches(id, now, { state, hot_since: hotSince }, gatewayBegan) {
    const begin = now - DAY_MS;
    const rows = withRestart(this.#rows(id, now), state, gatewayBegan);
    const inside = rows.filter((row) => row.at >= begin && row.at <= now);
    const before = rows.findLast((row) => row.at < begin);
    const out = [{ from: begin, to: now, state: before?.state ?? BEFORE[inside[0]?.kind] ?? inside[0]?.state ?? state, why: before?.why ?? "" }];
    for (const row of inside) {
      const last = out.at(-1);
      const hot = row.kept && out.findLast((one) => one.state === "hot");
      if (hot) hot.kept = row.kept;
      if (row.state === last.state) {
        if (row.kind === "service.busy") last.busy = row.why;
        else if (row.kind === "service.idle") last.then = row.why;
        else if (!last.why) last.why = row.why;
        continue;
      }
      last.to = row.at;
      last.then ??= row.why;
      out.push({ from: row.at, to: now, state: row.state, why: row.why });
    }
    const last = out.at(-1);
    if (last.state !== state) {
      // A change that no entry tells: of something that is only watched, or one that is on its way to us.
      const from = Math.max(last.from, Math.min(now - 1, (state === "hot" && Date.parse(hotSince)) || now - 1));
      last.to = from;
      out.push({ from, to: now, state, why: "" });
    }
    return out.filter((one) => one.to > one.from || one === out.at(-1));
  }
}

/** A gateway that was killed says nothing. What the next one did not find running has ended, at the latest then. */
const withRestart = (rows, state, began) => {
  if (!began) return rows;
  const index = rows.findLastIndex((row) => row.at < began);
  if (index === -1 || ["cold", "failed"].includes(rows[index].state)) return rows;
  const next = rows[index + 1];
  const goesOn = next ? FOUND.includes(next.cause) || (next.kind !== "service.starting" && next.state !== "hot") : state === rows[index].state;
  if (goesOn) return rows;
  const end = { at: began, state: "cold", kind: "gateway", why: "the gateway was started again", kept: "" };
  return [...rows.slice(0, index + 1), end, ...rows.slice(index + 1)];
};
