// Building and changing the page. Whatever comes from the server gets in as text, and only when it has changed:
// focus, selection and a screen reader's place stay where they are.

// Colours of a terminal, and characters that no page can or should show (they could turn a text around).
const CONTROL = /\x1b\[[0-9;?]*[ -/]*[@-~]|\r(?=\n)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

export const clean = (text) => String(text ?? "").replace(CONTROL, "");

export const at = (id) => document.getElementById(id);

/** An element. Traits are attributes, and listeners under `on...`; children are nodes or text. */
export const el = (tag, traits = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(traits)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : clean(value));
  }
  node.append(...children.flat().map((one) => (one instanceof Node ? one : clean(one))));
  return node;
};

export const svg = (tag, traits = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(traits)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

export const put = (node, text) => {
  const said = clean(text);
  if (node.textContent !== said) node.textContent = said;
};

export const mark = (node, name, value) => {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== clean(value)) node.setAttribute(name, clean(value));
};

export const show = (node, yes) => {
  if (node.hidden === yes) node.hidden = !yes;
};

/** Puts children in this order, touching only those that stand elsewhere; the focus stays. */
export const arrange = (parent, children) => {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const wanted = new Set(children);
  for (const old of [...parent.children]) if (!wanted.has(old)) old.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
};

/** An amount over a bar, for a cell. */
export const shared = () => el("span", { class: "share" }, el("span"), el("span", { class: "track" }, el("span", { class: "fill" })));

let numbers = 0;
export const fresh = (word) => `${word}-${(numbers += 1)}`;

export const kept = {
  get(name) {
    try {
      return localStorage.getItem(`hestia.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`hestia.${name}`, value);
    } catch {
      // a page that may not store anything forgets
    }
  },
};

/**
 * A table whose rows keep their identity. Columns are `{ name, say(row), number?, head? }`, or `{ name, node(row) }`
 * for a cell that is made once, with `fresh(node, row)` for its changes.
 */
export class Table {
  constructor(caption, columns, empty) {
    this.columns = columns;
    this.rows = new Map();
    this.body = el("tbody");
    const heads = columns.map((one) => el("th", { scope: "col", class: one.number ? "number" : null }, one.name));
    this.table = el("table", {}, el("caption", { class: "said" }, caption), el("thead", {}, el("tr", {}, heads)), this.body);
    this.empty = el("p", { class: "soft empty" }, empty);
    this.node = el("div", { class: "table" }, this.table, this.empty);
    this.fill([]);
  }

  /** `rows` are `[key, row]`. */
  fill(rows) {
    const seen = new Set();
    const order = rows.map(([key, row]) => {
      seen.add(key);
      const line = this.rows.get(key) ?? this.#line(key, row);
      for (const [cell, column] of line.cells) {
        if (column.say) put(cell, column.say(row) ?? "–");
        else column.fresh?.(cell.firstChild, row);
      }
      return line.node;
    });
    for (const key of this.rows.keys()) if (!seen.has(key)) this.rows.delete(key);
    arrange(this.body, order);
    show(this.table, rows.length > 0);
    show(this.empty, rows.length === 0);
  }

  #line(key, row) {
    const cells = this.columns.map((column) => {
      const traits = { "data-name": column.name, class: column.number ? "number" : null };
      const cell = column.head ? el("th", { ...traits, scope: "row" }) : el("td", traits);
      if (column.node) cell.append(column.node(row));
      return [cell, column];
    });
    const line = { cells, node: el("tr", {}, cells.map(([cell]) => cell)) };
    this.rows.set(key, line);
    return line;
  }
}
