// The page: where the person is, what they see there, and how it stays fresh. One snapshot feeds everything.

import { act, me, onChange, snapshot } from "./api.js";
import { blocks } from "./blocks.js";
import { composer } from "./composer.js";
import { report, showViews } from "./dialogs.js";
import { el, icon, iconButton } from "./dom.js";
import { avatar, showMessages } from "./messages.js";
import { know } from "./words.js";

// A permalink (/archives/C…/p…, with its thread where it is a reply) opens its thread.
function linked() {
  const found = location.pathname.match(/^\/archives\/(\w+)\/p(\d+)(\d{6})$/);
  return found ? { channel: found[1], thread: new URLSearchParams(location.search).get("thread_ts") ?? `${found[2]}.${found[3]}` } : {};
}

const $ = (id) => document.getElementById(id);
const where = { channel: localStorage.getItem("channel"), thread: null, tab: "messages", ...linked() };
const seen = JSON.parse(localStorage.getItem("seen") ?? "{}");
let state = null, busy = false, again = false, ownTs = null, newest = null;

const view = {
  people: () => state.people, app: () => state.app, channels: () => state.channels, channel: () => where.channel, shortcuts: () => state.shortcuts,
  statusOf: (ts) => state.statuses.find((one) => one.thread_ts === ts), openThread, inThread: false,
};
const place = () => state.channels.find((one) => one.id === where.channel);
const samples = () => state.samples;
const hints = () => [{ text: `@${state.app.handle}`, about: state.app.name }, ...state.commands.map((text) => ({ text, about: "Slash command" })),
  ...state.people.map((one) => ({ text: `@${one.name}`, about: one.real_name }))];

const main = composer($("composer"), { id: "composer-text", where: () => ({ channel: where.channel }), samples, hints,
  placeholder: () => (place().is_im ? `Message ${place().name}` : `Message #${place().name}`), sent: (answer) => { ownTs = answer.ts ?? null; refresh(); } });
const side = composer($("thread-composer"), { id: "thread-text", where: () => ({ channel: where.channel, thread_ts: where.thread }), samples, hints,
  placeholder: () => "Reply…", sent: () => refresh() });

async function refresh() {
  if (busy) return void (again = true);
  busy = true;
  try {
    const asked = { ...where };
    const found = await snapshot(asked.channel, asked.thread);
    if (found.ok && asked.channel === where.channel && asked.thread === where.thread) show(found);
    else if (!found.ok && (where.channel || where.thread)) {
      Object.assign(where, { channel: null, thread: null });
      again = true;
    }
  } finally {
    busy = false;
    if (again) { again = false; refresh(); }
  }
}

function show(found) {
  state = found;
  where.channel = found.channel;
  localStorage.setItem("channel", where.channel);
  know(state.people, state.channels, state.app);
  document.title = `${place().is_im ? place().name : "#" + place().name} · ${state.team.name}`;
  sidebar();
  head();
  const home = place().is_im && where.tab === "home";
  $("home").hidden = !home;
  $("messages").hidden = $("composer").hidden = home;
  if (home) showHome();
  else messages();
  thread();
  showViews(state.views, { people: view.people, channels: view.channels });
  main.name();
  side.name();
  announce();
}

function messages() {
  seen[me.user + where.channel] = place().latest;
  localStorage.setItem("seen", JSON.stringify(seen));
  const list = $("messages");
  list._place = `${me.user} ${where.channel}`;
  showMessages(list, state.messages, view);
  list.classList.toggle("empty", !state.messages.length);
  list.dataset.empty = place().has_bot ? `Drop a dataset here, or press “Sample dataset” below. @${state.app.handle} will look at it.` : "It is quiet here.";
  showPrompts();
  showStatus($("status"), state.statuses.filter((one) => !state.messages.some((m) => m.ts === one.thread_ts && m.reply_count) || place().is_im).find((one) => one.thread_ts !== where.thread));
  const own = state.messages.find((one) => one.ts === ownTs);
  if (own?.reply_count && !where.thread && innerWidth > 900) { ownTs = null; openThread(own.ts); }
}

function showPrompts() {
  const held = state.prompts[0];
  const old = $("prompts");
  old?.remove();
  if (!held || !place().is_im || state.messages.length) return;
  $("messages").after(el("div.prompts", { id: "prompts" }, held.title ? el("p", {}, held.title) : null,
    held.prompts.map((one) => el("button.button", { type: "button", onclick: () => main.fill(one.message) }, one.title))));
}

function showStatus(node, status) {
  node.hidden = !status;
  if (!status) return;
  const words = `${state.app.name} ${status.loading_messages[0] ?? status.status}`;
  const stop = status.session === "processing" ? el("button.text-button", { type: "button", onclick: async () => report(await act("stop", { channel: status.channel, thread_ts: status.thread_ts })) }, icon("stop"), "Stop") : null;
  if (node.dataset.words !== words + Boolean(stop)) node.replaceChildren(el("span.dots", { "aria-hidden": "true" }, el("i"), el("i"), el("i")), words, ...(stop ? [stop] : []));
  node.dataset.words = words + Boolean(stop);
}

function thread() {
  $("thread").hidden = !where.thread;
  $("shell").classList.toggle("with-thread", Boolean(where.thread));
  if (!where.thread) return;
  const list = $("replies");
  list._place = `${me.user} ${where.channel} ${where.thread}`;
  showMessages(list, state.thread, { ...view, inThread: true });
  showStatus($("thread-status"), view.statusOf(where.thread));
  if (!$("thread-head").childNodes.length) $("thread-head").append(el("h2", {}, "Thread"), el("span.grow"), iconButton("close", "Close thread", closeThread));
}

function openThread(ts) {
  where.thread = ts;
  $("shell").dataset.pane = "thread";
  refresh().then(() => side.focus());
}

function closeThread() {
  where.thread = null;
  $("shell").dataset.pane = "channel";
  refresh().then(() => main.focus());
}

function go(channel, tab = "messages") {
  Object.assign(where, { channel, thread: null, tab });
  $("shell").dataset.pane = "channel";
  if (tab === "home" || channel.startsWith("D")) act("home", { tab });
  refresh();
}

function head() {
  const here = place();
  const text = JSON.stringify([here.id, here.has_bot, here.members, where.tab, here.topic]);
  if ($("place-head").dataset.text === text) return;
  $("place-head").dataset.text = text;
  const tabs = here.is_im ? el("div.tabs", { role: "tablist" }, ["home", "messages"].map((name) => el("button", { type: "button", role: "tab", "aria-selected": String(where.tab === name), onclick: () => go(here.id, name) }, name === "home" ? "Home" : "Messages"))) : null;
  $("place-head").replaceChildren(iconButton("menu", "Show channels", () => ($("shell").dataset.pane = "sidebar"), { id: "show-sidebar" }),
    el("h1", { id: "place-name" }, here.is_im ? avatar(here.name, true, "app") : icon(here.is_private ? "lock" : "hash"), here.name),
    ...(tabs ? [tabs] : [el("span.topic", {}, here.topic)]), el("span.grow"),
    ...(here.is_im ? [] : [el("span.members", {}, `${here.members} members`)]),
    ...(here.has_bot ? [] : [el("button.button", { type: "button", onclick: () => act("invite", { channel: here.id }) }, `Invite @${state.app.handle}`)]));
}

function sidebar() {
  const unread = (one) => one.latest && one.latest > (seen[me.user + one.id] ?? "") && one.id !== where.channel;
  const text = JSON.stringify([state.channels.map((one) => [one.id, unread(one)]), where.channel, me.user]);
  if ($("sidebar").dataset.text === text) return;
  $("sidebar").dataset.text = text;
  const entry = (one) => el(`button.place${one.id === where.channel ? ".here" : ""}${unread(one) ? ".unread" : ""}`, { type: "button", "aria-current": one.id === where.channel ? "page" : null, onclick: () => go(one.id) },
    one.is_im ? avatar(one.name, true, "app") : icon(one.is_private ? "lock" : "hash"), el("span", {}, one.name), unread(one) ? el("span.dot", { role: "img", "aria-label": "unread" }) : null);
  const who = state.people.find((one) => one.id === me.user);
  const choice = el("select", { id: "who", "aria-label": "Act as", onchange: () => become(choice.value) }, state.people.map((one) => el("option", { value: one.id, selected: one.id === me.user }, `${one.real_name} · ${one.role}`)));
  $("sidebar").replaceChildren(el("div.team", {}, el("img", { src: "/page/icon.svg", alt: "", width: 28, height: 28 }), el("strong", {}, state.team.name), iconButton("close", "Hide channels", () => ($("shell").dataset.pane = "channel"), { id: "hide-sidebar" })),
    el("h2", {}, "Channels"), ...state.channels.filter((one) => !one.is_im).map(entry),
    el("h2", {}, "Apps"), ...state.channels.filter((one) => one.is_im).map(entry), el("span.grow"),
    el("div.who-am-i", {}, avatar(who.real_name, false, who.id), el("label", {}, el("span", {}, "You are"), choice)));
}

function become(user) {
  me.user = user;
  localStorage.setItem("user", user);
  Object.assign(where, { thread: null, channel: where.channel?.startsWith("D") ? null : where.channel });
  refresh();
}

function showHome() {
  const home = state.home;
  const key = home ? home.hash + home.id : "none";
  if ($("home").dataset.key === me.user + key) return;
  $("home").dataset.key = me.user + key;
  const host = { people: view.people, channels: view.channels, keep: () => {}, held: () => undefined, input: (block) => block.type === "input", optional: () => false, label: (block) => block.label?.text,
    act: async (block, element, value) => report(await act("actions", { view_id: home.id, block_id: block.block_id, action_id: element.action_id, value })) };
  $("home").replaceChildren(...(home ? blocks(home.blocks, host) : [el("p.quiet", {}, `${state.app.name} has not published a Home tab yet.`)]));
}

// Screen readers hear the newest message of somebody else, once.
function announce() {
  const last = [...(where.thread ? state.thread : state.messages)].at(-1);
  if (!last || last.ts === newest) return;
  const first = newest === null;
  newest = last.ts;
  if (!first && last.user !== me.user) $("announcer").textContent = `${last.user === state.app.user ? state.app.name : "Message"}: ${last.text.slice(0, 200)}`;
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && where.thread && !document.querySelector("dialog[open]")) closeThread();
});
if (where.thread) $("shell").dataset.pane = "thread";
onChange(refresh);
refresh();
