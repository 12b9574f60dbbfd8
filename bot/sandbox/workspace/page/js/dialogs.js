// Dialogs: a button's confirm, a short question, toasts, and modals (views) with their stack, errors and state.

import { act } from "./api.js";
import { blocks } from "./blocks.js";
import { el, iconButton } from "./dom.js";
import { plainOf, textObject } from "./words.js";

export function toast(words) {
  const node = el("div.toast", {}, words);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

// Asks first where the element has a `confirm`; resolves when all is done.
export async function confirmFirst(wanted, run) {
  if (!wanted) return run();
  const yes = await ask({ title: plainOf(wanted.title), body: textObject(wanted.text), yes: plainOf(wanted.confirm), no: plainOf(wanted.deny), danger: wanted.style === "danger" });
  return yes ? run() : null;
}

export function ask({ title, body, yes, no, danger }) {
  return new Promise((resolve) => {
    const done = (value) => { node.close(); node.remove(); resolve(value); };
    const node = el("dialog.dialog.small", { "aria-label": title, oncancel: (event) => { event.preventDefault(); done(false); } },
      el("h2", {}, title), el("div.dialog-body", {}, body),
      el("footer", {}, el("button.button", { type: "button", onclick: () => done(false) }, no),
        el(`button.button.${danger ? "danger" : "primary"}`, { type: "button", onclick: () => done(true) }, yes)));
    document.body.append(node);
    node.showModal();
  });
}

const open = { node: null, key: "", values: {}, faults: {}, view: null };

// Shows the topmost of a person's views, or none.
export function showViews(views, about) {
  const view = views.at(-1) ?? null;
  const key = view ? `${view.id} ${view.hash}` : "";
  if (key === open.key) return;
  const same = view && open.view?.id === view.id;
  if (!same) Object.assign(open, { values: {}, faults: {} });
  Object.assign(open, { key, view });
  render(about);
}

function render(about) {
  const old = open.node;
  const view = open.view;
  if (!view) {
    old?.close();
    old?.remove();
    open.node = null;
    return;
  }
  const host = viewHost(view, about);
  const inputs = view.blocks.some((block) => block.type === "input");
  const form = el("form", { method: "dialog", novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(about); } },
    el("header", {}, el("h2", {}, plainOf(view.title)), iconButton("close", "Close", () => close(true))),
    el("div.dialog-body", {}, blocks(view.blocks, host)),
    view.submit || view.close || inputs ? el("footer", {},
      el("button.button", { type: "button", onclick: () => close(false) }, plainOf(view.close) || "Cancel"),
      view.submit ? el("button.button.primary", { type: "submit", disabled: view.submit_disabled }, plainOf(view.submit)) : null) : null);
  const held = old ? controls(old).indexOf(document.activeElement) : -1;
  const node = old ?? el("dialog.dialog", { oncancel: (event) => { event.preventDefault(); close(false); } });
  node.setAttribute("aria-label", plainOf(view.title));
  node.replaceChildren(form);
  if (!old) {
    document.body.append(node);
    node.showModal();
  }
  open.node = node;
  const again = held >= 0 ? controls(node)[held] : null; // whoever goes by keyboard stays where they were
  (again ?? node.querySelector("[autofocus], .input input, .input textarea, .input select"))?.focus();
}

const controls = (node) => [...node.querySelectorAll(".dialog-body :is(button, input, select, textarea)")];

async function submit(about) {
  const view = open.view;
  const button = open.node.querySelector("button[type=submit]");
  button.disabled = true;
  const answer = await act("views/submit", { view_id: view.id, values: open.values });
  button.disabled = false;
  if (answer.errors) {
    open.faults = answer.errors;
    render(about);
    open.node?.querySelector(".fault")?.parentNode.querySelector("input, textarea, select")?.focus();
  } else if (!answer.ok) toast(`That could not be submitted: ${answer.message ?? answer.error}`);
}

async function close(everything) {
  await act("views/close", { view_id: open.view.id, all: everything });
}

function viewHost(view, about) {
  const state = view.state?.values ?? {};
  return {
    ...about,
    act: async (block, element, value) => report(await act("actions", { view_id: view.id, block_id: block.block_id, action_id: element.action_id, value })),
    keep: (block, element, value) => { (open.values[block.block_id] ??= {})[element.action_id] = value; },
    held: (block, element) => open.values[block.block_id]?.[element.action_id] ?? plainState(state[block.block_id]?.[element.action_id]),
    input: (block) => block.type === "input",
    optional: (block) => Boolean(block.optional),
    label: (block) => (block.label ? plainOf(block.label) : null),
    fault: (block) => open.faults[block.block_id],
  };
}

function plainState(held) {
  if (!held) return undefined;
  if (held.selected_options) return held.selected_options.map((option) => option.value);
  const found = Object.entries(held).find(([name]) => name !== "type")?.[1];
  return (typeof found === "object" ? found?.value : found) ?? undefined;
}

export function report(answer) {
  if (!answer.ok) toast(`That did not work: ${answer.message ?? answer.error}`);
  return answer;
}
