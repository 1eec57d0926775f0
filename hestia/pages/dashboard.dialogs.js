// Questions to the operator, and what went wrong, in words.

import { at, clean, el, fresh, kept, put } from "./dashboard.dom.js";

const MESSAGES = 4;

/** Says it until somebody has read it. */
export const complain = (what, problem) => {
  const words = el("p", {}, el("strong", {}, `${what}. `), problem?.message || "Something went wrong.");
  const box = el("div", { class: "toast" }, words, el("button", { type: "button", class: "quiet", onclick: () => box.remove() }, "Dismiss"));
  const toasts = at("toasts");
  toasts.append(box);
  while (toasts.children.length > MESSAGES) toasts.firstChild.remove();
};

/** For those who do not see it change. */
export const announce = (words) => put(at("voice"), words);

/** Opens a dialog; resolves to what its form says, or null. The focus goes back to where it was. */
const question = (title, body, buttons, read = () => true) =>
  new Promise((resolve) => {
    const id = fresh("title");
    const form = el("form", { method: "dialog" }, el("h2", { id }, title), body, el("div", { class: "actions" }, buttons));
    const dialog = el("dialog", { "aria-labelledby": id }, form);
    form.addEventListener("submit", (event) => {
      const said = read(dialog);
      if (said === null) return event.preventDefault();
      resolve(said);
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });

// No submit button: Enter in a field means yes.
const no = (word = "Cancel") => el("button", { type: "button", onclick: (event) => event.target.closest("dialog").close() }, word);
const yes = (word) => el("button", { class: "strong" }, word);

const listed = (requests) =>
  requests.length
    ? [
        el("p", {}, requests.length === 1 ? "This request is in flight:" : `These ${requests.length} requests are in flight:`),
        el("ul", { class: "plain" }, requests.slice(0, 8).map((one) => el("li", {}, el("code", {}, `${one.method} ${clean(one.path).slice(0, 80)}`), ` ${one.state}`)), requests.length > 8 ? el("li", {}, `and ${requests.length - 8} more`) : []),
        el("p", { class: "soft" }, "They may finish within the drain time; then they are broken off."),
      ]
    : [];

export const askStop = (name, requests) => question(`Stop ${name}?`, listed(requests), [no(), yes("Stop")]);

export const askSleep = (name, holds) =>
  question(`Put ${name} to sleep?`, [el("p", {}, "These services run there and are stopped:"), el("ul", { class: "plain" }, holds.map((id) => el("li", {}, id)))], [no(), yes("Sleep")]);

export const askCancel = (request) =>
  question("Cancel this request?", el("p", {}, el("code", {}, `${request.method} ${clean(request.path).slice(0, 200)}`), ` to ${request.service ?? "no service"}`), [no("Keep it"), yes("Cancel request")]);

const LENGTHS = [
  ["30m", "30 minutes"],
  ["2h", "2 hours"],
  ["8h", "8 hours"],
  ["24h", "a day"],
  ["true", "until I start it"],
];

/** For how long; resolves to the value of `?hold=`. */
export const askHold = (name, requests) => {
  const group = fresh("length");
  const last = LENGTHS.some(([value]) => value === kept.get("hold")) ? kept.get("hold") : "2h";
  const other = el("input", { type: "text", placeholder: "90m, 3h, 2d", "aria-label": "Another length", size: "9", autocomplete: "off", pattern: "[0-9.]+ *(ms|s|m|h|d)", title: "a number and s, m, h or d" });
  const own = el("input", { type: "radio", name: group, value: "own" });
  other.addEventListener("input", () => (own.checked = other.value !== ""));
  const choices = LENGTHS.map(([value, words]) => el("label", { class: "choice" }, el("input", { type: "radio", name: group, value, checked: value === last, autofocus: value === last }), words));
  const body = [
    el("p", {}, "It is stopped and stays cold; who asks for it meanwhile is told until when. Start ends the hold."),
    el("fieldset", {}, el("legend", {}, "For how long?"), choices, el("label", { class: "choice" }, own, "another length:"), other),
    ...listed(requests),
  ];
  return question(`Hold ${name}?`, body, [no(), yes("Hold")], (dialog) => {
    const value = dialog.querySelector(`input[name="${group}"]:checked`)?.value;
    if (value !== "own") {
      kept.set("hold", value);
      return value;
    }
    const text = other.value.replaceAll(" ", "");
    if (text) return text;
    other.focus();
    return null;
  });
};

const KEYS = [
  ["/", "filter the services"],
  ["?", "this list"],
  ["j, k", "next, previous service"],
  ["s", "Start or Retry the service in focus"],
  ["x", "Stop it"],
  ["h", "Hold it"],
  ["o", "open it"],
  ["d", "its details"],
  ["← →", "on a timeline: the stretch before, after"],
];

export const keysOn = () => kept.get("keys") !== "off";

export const askKeys = () => {
  const box = el("input", { type: "checkbox", checked: keysOn(), onchange: () => kept.set("keys", box.checked ? "on" : "off") });
  const rows = KEYS.map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)));
  return question("Keys", [el("dl", { class: "keys" }, rows), el("label", { class: "choice" }, box, "Keys are on")], [no("Close")]);
};
