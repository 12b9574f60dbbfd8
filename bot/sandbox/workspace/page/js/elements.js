// Block Kit's interactive elements. Each calls `host.act(block, element, value)`; inputs also say what they hold.

import { el, icon } from "./dom.js";
import { confirmFirst } from "./dialogs.js";
import { plainOf, textObject } from "./words.js";

export function element(block, one, host) {
  const build = BUILDERS[one.type];
  return build ? build(block, one, host) : el("span.unknown", {}, `[${one.type}]`);
}

function ask(block, one, host, value) {
  return confirmFirst(one.confirm, () => host.act(block, one, value));
}

async function pressed(button, run) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    await run();
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

function button(block, one, host) {
  const node = el(`button.button${one.style ? "." + one.style : ""}`, { type: "button", "aria-label": one.accessibility_label,
    onclick: () => pressed(node, async () => {
      if (one.url && /^https?:/i.test(one.url)) window.open(one.url, "_blank", "noopener");
      await ask(block, one, host, one.value);
    }) }, plainOf(one.text));
  return node;
}

function iconButtonElement(block, one, host) {
  return el("button.icon-button", { type: "button", "aria-label": one.accessibility_label ?? plainOf(one.text), title: plainOf(one.text),
    onclick: () => ask(block, one, host, one.value) }, icon("trash"));
}

function feedback(block, one, host) {
  const both = [["positive_button", "👍"], ["negative_button", "👎"]].map(([name, sign]) => {
    const held = one[name];
    const node = el("button.feedback", { type: "button", "aria-label": held.accessibility_label ?? plainOf(held.text), title: plainOf(held.text),
      "aria-pressed": "false", onclick: () => pressed(node, async () => {
        for (const other of node.parentNode.children) other.setAttribute("aria-pressed", String(other === node));
        await host.act(block, one, held.value);
      }) }, sign);
    return node;
  });
  return el("span.feedback-pair", { role: "group", "aria-label": "Feedback" }, both);
}

function options(one) {
  const option = (held) => el("option", { value: held.value }, plainOf(held.text));
  if (one.options) return one.options.map(option);
  return (one.option_groups ?? []).map((group) => el("optgroup", { label: plainOf(group.label) }, group.options.map(option)));
}

function select(block, one, host) {
  const held = host.held(block, one) ?? one.initial_option?.value ?? "";
  const label = plainOf(one.placeholder) || "Choose an option";
  const node = el("select", { "aria-label": host.label(block) ?? label, onchange: () => host.input(block) ? host.keep(block, one, node.value) : ask(block, one, host, node.value) },
    el("option", { value: "", disabled: !host.optional(block), selected: !held }, label), options(one));
  node.value = held;
  return node;
}

function multi(block, one, host) {
  const held = new Set(host.held(block, one) ?? (one.initial_options ?? []).map((o) => o.value));
  return group(block, one, host, "checkbox", one.options ?? one.option_groups.flatMap((g) => g.options), held, () => [...held]);
}

function radio(block, one, host) {
  const first = host.held(block, one) ?? one.initial_option?.value;
  const held = new Set(first ? [first] : []);
  return group(block, one, host, "radio", one.options, held, () => [...held][0]);
}

function group(block, one, host, kind, choices, held, value) {
  const name = `${block.block_id}-${one.action_id}`;
  return el("div.choices", { role: kind === "radio" ? "radiogroup" : "group", "aria-label": host.label(block) ?? plainOf(one.placeholder) }, choices.map((option) => {
    const input = el("input", { type: kind, name, value: option.value, checked: held.has(option.value), onchange: () => {
      if (kind === "radio") held.clear();
      if (input.checked) held.add(option.value); else held.delete(option.value);
      if (host.input(block)) host.keep(block, one, value()); else ask(block, one, host, value());
    } });
    return el("label.choice", {}, input, el("span", {}, textObject(option.text), option.description ? el("small", {}, textObject(option.description)) : null));
  }));
}

function overflow(block, one, host) {
  const menu = el("div.menu", { role: "menu", hidden: true }, one.options.map((option) =>
    el("button", { type: "button", role: "menuitem", onclick: () => { toggle(false); ask(block, one, host, option.value); } }, plainOf(option.text))));
  const opener = el("button.icon-button", { type: "button", "aria-label": "More actions", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => toggle(menu.hidden) }, icon("more"));
  const toggle = (open) => {
    menu.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    (open ? menu.firstChild : opener).focus();
  };
  const wrap = el("span.menu-wrap", { onkeydown: (event) => { if (event.key === "Escape" && !menu.hidden) { event.stopPropagation(); toggle(false); } },
    onfocusout: (event) => { if (!wrap.contains(event.relatedTarget)) { menu.hidden = true; opener.setAttribute("aria-expanded", "false"); } } }, opener, menu);
  return wrap;
}

function typed(kind) {
  return (block, one, host) => {
    const held = host.held(block, one) ?? one.initial_value ?? "";
    const tag = one.multiline ? "textarea" : "input";
    const node = el(tag, { type: one.multiline ? null : kind, rows: one.multiline ? Math.min(16, Math.max(5, String(held).split("\n").length + 1)) : null,
      placeholder: plainOf(one.placeholder), "aria-label": host.label(block), minlength: one.min_length, maxlength: one.max_length ?? 3000,
      min: one.min_value, max: one.max_value, step: one.is_decimal_allowed ? "any" : null, autocomplete: "off",
      autofocus: Boolean(one.focus_on_load), value: held, oninput: () => host.keep(block, one, node.value),
      onchange: () => { if (!host.input(block) || block.dispatch_action) host.act(block, one, node.value); } });
    if (one.multiline) node.addEventListener("keydown", indentOnTab);
    return node;
  };
}

// An outline is written with indentation: Tab indents, Escape first lets Tab leave the box.
function indentOnTab(event) {
  const box = event.target;
  if (event.key === "Escape") { box._leave = true; return; }
  if (event.key !== "Tab" || event.shiftKey || box._leave) { box._leave = false; return; }
  const before = box.value.slice(0, box.selectionStart);
  if (!/(^|\n)[ \t]*$/.test(before)) return;
  event.preventDefault();
  box.setRangeText("  ", box.selectionStart, box.selectionEnd, "end");
  box.dispatchEvent(new Event("input"));
}

function picker(kind, initial) {
  return (block, one, host) => {
    const node = el("input", { type: kind, "aria-label": host.label(block) ?? plainOf(one.placeholder), value: host.held(block, one) ?? one[initial] ?? "",
      onchange: () => (host.input(block) ? host.keep(block, one, node.value) : ask(block, one, host, node.value)) });
    return node;
  };
}

function people(block, one, host) {
  const choices = host.people().map((person) => ({ text: { type: "plain_text", text: person.real_name }, value: person.id }));
  return select(block, { ...one, options: choices, initial_option: one.initial_user ? { value: one.initial_user } : null }, host);
}

function channels(block, one, host) {
  const first = one.initial_channel ?? one.initial_conversation;
  const choices = host.channels().map((place) => ({ text: { type: "plain_text", text: (place.is_im ? "" : "#") + place.name }, value: place.id }));
  return select(block, { ...one, options: choices, initial_option: first ? { value: first } : null }, host);
}

const image = (block, one) => el("img.thumb", { src: source(one), alt: one.alt_text });
export const source = (one) => (one.slack_file?.id ? `/sandbox/files/${encodeURIComponent(one.slack_file.id)}/content` : one.image_url);

const BUILDERS = { button, workflow_button: button, icon_button: iconButtonElement, feedback_buttons: feedback, static_select: select,
  external_select: select, multi_static_select: multi, checkboxes: multi, radio_buttons: radio, overflow, image, users_select: people,
  channels_select: channels, conversations_select: channels, plain_text_input: typed("text"), email_text_input: typed("email"),
  url_text_input: typed("url"), number_input: typed("number"), datepicker: picker("date", "initial_date"), timepicker: picker("time", "initial_time") };
