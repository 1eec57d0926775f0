// What the page says: states, causes, times and amounts in words.

export const STATES = ["starting", "failed", "hot", "stopping", "cold"];
export const SIGNS = { cold: "○", starting: "◐", hot: "●", stopping: "◑", failed: "▲" };

export const PHASES = {
  waking_machine: "waking its machine",
  making_room: "waiting for room on its machine",
  dependencies: "starting what it needs",
  launching: "launching",
  probing: "launched, waiting for its first answer",
  warming: "it answers, warming up",
};

const CAUSES = {
  request: "a request",
  page: "somebody who opened its page",
  command: "a command",
  keep_warm: "its keep_warm window",
  dependency: "a service that needs it",
  idle: "it was idle",
  room: "another service needed its room",
  hold: "the operator holds it",
  reload: "the configuration changed",
  shutdown: "the gateway shut down",
  adoption: "it ran already and was taken over",
  found: "it ran already",
  died: "it ended by itself",
  failed: "its start failed",
  watch: "its check said so",
};

export const cause = (word) => (word ? (CAUSES[word] ?? word) : "");

// --- amounts

const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });
const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const known = (value) => value !== null && value !== undefined;
export const amount = (value) => (known(value) ? number.format(value) : "–");
export const sum = (value) => (known(value) ? money.format(value) : "–");
export const many = (count, one, more = `${one}s`) => `${amount(count)} ${count === 1 ? one : more}`;

export const bytes = (value) => {
  if (!known(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, value > 0 ? Math.floor(Math.log2(value) / 10) : 0);
  return `${number.format(value / 1024 ** step)} ${units[step]}`;
};

/** Seconds, as short as they can be understood: 0.4 ms, 12 s, 3 min, 2 h 5 min, 4 d. */
export const span = (seconds) => {
  if (!known(seconds) || Number.isNaN(seconds)) return "–";
  if (seconds > 0 && seconds < 0.9995) return `${seconds < 0.01 ? fine.format(seconds * 1000) : Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${number.format(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  if (whole < 172800) return two(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return two(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
};

const two = (large, unit, small, less) => (small ? `${large} ${unit} ${small} ${less}` : `${large} ${unit}`);

export const hours = (value) => (known(value) ? `${number.format(value)} h` : "–");

// --- moments

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const sameDay = (one, other) => new Date(one).toDateString() === new Date(other).toDateString();

export const clock = (ms, now = Date.now()) => (sameDay(ms, now) ? time.format(ms) : `${date.format(ms)}, ${time.format(ms)}`);
export const stamp = (text, now = Date.now()) => {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return text ?? "";
  return sameDay(ms, now) ? exact.format(ms) : `${date.format(ms)}, ${exact.format(ms)}`;
};

export const held = (until, now) => {
  if (until === "forever") return "held until somebody starts it";
  return `held until ${clock(typeof until === "number" ? until * 1000 : Date.parse(until), now)}`;
};

// --- what happened

const after = (entry) => (known(entry.took_s) ? ` after ${span(entry.took_s)}` : "");
const by = (entry) => {
  const who = entry.more?.who;
  const woke = cause(entry.cause);
  return who ? `${who}${woke ? ` (${woke})` : ""}` : woke;
};

export const keptBy = (entry) => {
  const said = entry.more?.kept_by;
  if (!said || typeof said !== "object") return "";
  return Object.entries(said)
    .sort((one, other) => other[1] - one[1])
    .map(([who, seconds]) => `${who} (${span(seconds)})`)
    .join(", ");
};

const because = (entry, words) => [words, entry.more?.reason].filter(Boolean).join(": ");

const SAYS = {
  "service.starting": (entry) => (by(entry) ? `woken by ${by(entry)}` : "starting"),
  "service.ready": (entry) =>
    ["adoption", "found"].includes(entry.cause) ? cause(entry.cause) : `ready${after(entry)}${by(entry) ? `, woken by ${by(entry)}` : ""}`,
  "service.start_failed": (entry) => because(entry, `start failed${after(entry)}`),
  "service.idle": (entry) => `not used${known(entry.more?.idle_s) ? ` for ${span(entry.more.idle_s)}` : ""}, is stopped`,
  "service.busy": () => "works without a request, so it is kept awake",
  "service.held": (entry) => (entry.more?.until ? held(entry.more.until) : "held by the operator"),
  "service.stopped": (entry) => `stopped: ${cause(entry.cause) || "no cause is known"}${keptBy(entry) ? `; was kept awake by ${keptBy(entry)}` : ""}`,
  "service.dropped": () => "nobody waits for its start any more",
  "service.died": (entry) => because(entry, "ended by itself"),
  "place.retry": (entry) => `${because(entry, `attempt ${entry.more?.attempt ?? ""} failed`)}${known(entry.more?.delay_s) ? `; next in ${span(entry.more.delay_s)}` : ""}`,
  "place.fallback": (entry) => `${because(entry, "this place failed")}; trying ${entry.more?.to ?? "the next"}`,
  "place.adopted": () => "still ran from before the restart, and was taken over",
  "place.left_over": (entry) => because(entry, "left over from before, was stopped"),
  "machine.waking": (entry) => `woken by ${by(entry) || "something"}`,
  "machine.awake": (entry) => `awake${after(entry)}`,
  "machine.asleep": (entry) => `asleep: ${cause(entry.cause)}`,
  "machine.held": (entry) => (entry.more?.until ? held(entry.more.until) : "held asleep"),
};

/** One entry of the activity in words. */
export const says = (entry) => {
  const words = SAYS[entry.kind]?.(entry);
  if (words) return words;
  const rest = Object.entries(entry.more ?? {}).filter(([, value]) => known(value));
  const said = rest.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [cause(entry.cause), ...said].filter(Boolean).join("; ") || entry.kind;
};
