// Builds DOM from values. Strings only ever become text nodes: nothing here, or in this page, sets innerHTML.

export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) set(node, key, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function set(node, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
  else if (key === "value") node.value = value;
  else if (value === true) node.setAttribute(key, "");
  else node.setAttribute(key, value);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.flat());
  return node;
}

// Icons are paths on a 20 × 20 grid.
const ICONS = {
  hash: "M8 3 6.5 17M13.5 3 12 17M3.5 7.5h13M3 12.5h13",
  lock: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  home: "M3 9.5 10 4l7 5.5V17H3zM8 17v-4h4v4",
  clip: "M14.5 8.5 9 14a2.5 2.5 0 0 1-3.6-3.6l6-6a3.6 3.6 0 0 1 5 5l-6.5 6.4",
  send: "M3.5 10 16.5 4l-4.5 13-2.7-5.6z",
  close: "M5 5l10 10M15 5 5 15",
  reply: "M4 5h12v8H9l-4 3v-3H4z",
  smile: "M10 3a7 7 0 1 0 .01 0M7.5 8v.5M12.5 8v.5M7 12c1.8 2 4.2 2 6 0",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  menu: "M3 5h14M3 10h14M3 15h14",
  back: "M12 4 6 10l6 6",
  file: "M6 3h6l4 4v10H6zM12 3v4h4",
  data: "M4 5h12M4 10h12M4 15h7M15 13v5M12.5 15.5h5",
  stop: "M6 6h8v8H6z",
  trash: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  at: "M13 10a3 3 0 1 1-6 0 3 3 0 0 1 6 0v1.5a2 2 0 0 0 4 0V10a7 7 0 1 0-3 5.7",
};

export function icon(name) {
  const path = svg("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": "1.6",
    "stroke-linecap": "round", "stroke-linejoin": "round" });
  return svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" }, path);
}

export function iconButton(name, label, onclick, extra = {}) {
  return el("button.icon-button", { type: "button", "aria-label": label, title: label, onclick, ...extra }, icon(name));
}

// Shows children again only where they changed, so that focus and selection survive a refresh.
export function keyed(container, items, key, build) {
  const old = container._keyed ?? new Map();
  const fresh = new Map();
  for (const item of items) {
    const name = key(item), text = JSON.stringify(item), before = old.get(name);
    fresh.set(name, before?.text === text ? before : { text, node: build(item) });
  }
  const wanted = [...fresh.values()].map((held) => held.node);
  for (const child of [...container.childNodes]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((node, at) => {
    if (container.childNodes[at] !== node) container.insertBefore(node, container.childNodes[at] ?? null);
  });
  container._keyed = fresh;
}
