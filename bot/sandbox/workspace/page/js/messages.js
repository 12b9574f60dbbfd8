// A list of messages: who, when, words or blocks, files, reactions, replies, and what one can do with each.

import { act, me } from "./api.js";
import { blocks } from "./blocks.js";
import { ask, report } from "./dialogs.js";
import { el, icon, iconButton, keyed } from "./dom.js";
import { emoji, mrkdwn } from "./words.js";

const QUICK = ["+1", "eyes", "white_check_mark", "tada"];
const time = (ts) => new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const day = (ts) => new Date(Number(ts) * 1000).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" });

// `view` knows the state, opens threads, and says whether this list is a thread.
export function showMessages(list, found, view) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const rows = found.map((message, n) => ({ message, joined: joins(found[n - 1], message), day: day(message.ts) !== day(found[n - 1]?.ts ?? 0) }));
  keyed(list, rows, (row) => `${list._place} ${row.message.ts}`, (row) => item(row, view));
  const toEnd = () => (list.scrollTop = list.scrollHeight);
  if (atEnd || list._shown !== list._place) {
    toEnd();
    requestAnimationFrame(toEnd); // once the status line below has found its place
  }
  list._shown = list._place;
}

const joins = (before, message) => Boolean(before && before.user === message.user && !message.is_ephemeral === !before.is_ephemeral && !before.reply_count && message.ts - before.ts < 240 && day(before.ts) === day(message.ts));

function item({ message, joined, day: newDay }, view) {
  const bot = message.user === view.app().user || message.user === "USLACKBOT";
  const person = view.people().find((one) => one.id === message.user);
  const name = message.user === "USLACKBOT" ? "Slackbot" : bot ? view.app().name : person?.real_name ?? message.user;
  return el(`li.message${joined && !newDay ? ".joined" : ""}${message.is_ephemeral ? ".ephemeral" : ""}`, { "data-ts": message.ts, "aria-label": `${name}, ${time(message.ts)}` },
    newDay ? el("div.day", {}, el("span", {}, day(message.ts))) : null,
    el("div.row", {}, avatar(name, bot, message.user),
      el("div.body", {},
        el("div.who", {}, el("strong", {}, name), bot ? el("span.badge", {}, "APP") : person?.role === "guest" ? el("span.badge", {}, "GUEST") : null, el("time", {}, time(message.ts)),
          message.session_title ? el("span.session", {}, message.session_title) : null),
        message.is_ephemeral ? el("div.only-you", {}, "👁 Only visible to you") : null,
        el("div.content", {}, content(message, view)),
        message.edited && !bot ? el("span.edited", {}, " (edited)") : null,
        (message.files ?? []).map((file) => fileCard(file)),
        reactions(message, view), replies(message, view))),
    message.is_ephemeral ? null : tools(message, view));
}

export function avatar(name, bot, id) {
  const hue = [...id].reduce((sum, letter) => sum + letter.charCodeAt(0) * 47, 0) % 360;
  const node = el(`span.avatar${bot ? ".bot" : ""}`, { "aria-hidden": "true" }, bot ? icon("data") : name.split(" ").map((word) => word[0]).slice(0, 2).join(""));
  if (!bot) node.style.setProperty("--hue", hue);
  return node;
}

function content(message, view) {
  if (message.blocks?.length) return blocks(message.blocks, host(message, view));
  return message.text ? mrkdwn(message.text) : null;
}

function host(message, view) {
  const state = {};
  return {
    act: async (block, element, value) => report(await act("actions", { channel: view.channel(), message_ts: message.ts, block_id: block.block_id, action_id: element.action_id, value, state })),
    keep: (block, element, value) => { (state[block.block_id] ??= {})[element.action_id] = value; },
    held: () => undefined,
    input: (block) => block.type === "input",
    optional: () => false,
    label: (block) => block.label?.text,
    people: view.people,
    channels: view.channels,
  };
}

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`);

function fileCard(file) {
  if (file.mode === "tombstone") return el("div.file-card.gone", {}, icon("file"), el("span", {}, "This file was deleted."));
  const address = `/sandbox/files/${encodeURIComponent(file.id)}/content`;
  if (/^image\/(png|jpeg|gif|webp)$/.test(file.mimetype)) {
    return el("figure.picture", {}, el("figcaption", {}, file.title), el("a", { href: address, target: "_blank", rel: "noopener" }, el("img", { src: address, alt: file.alt_txt ?? file.title, onload: keepEnd })));
  }
  return el("a.file-card", { href: address, download: file.name }, icon("file"), el("span.file-name", {}, file.name), el("small", {}, `${file.pretty_type} · ${size(file.size)}`));
}

// A picture that arrives late pushes the words up; whoever read the end stays there.
function keepEnd(event) {
  const list = event.target.closest(".scroll");
  if (list && list.scrollHeight - list.scrollTop - list.clientHeight < event.target.height + 120) list.scrollTop = list.scrollHeight;
}

function reactions(message, view) {
  if (!message.reactions?.length) return null;
  return el("div.reactions", {}, message.reactions.map((one) => {
    const mine = one.users.includes(me.user);
    const names = one.users.map((id) => view.people().find((p) => p.id === id)?.real_name ?? view.app().name).join(", ");
    return el("button.reaction", { type: "button", "aria-pressed": String(mine), title: `${names}: ${one.name}`, "aria-label": `${one.name}, ${one.count}`,
      onclick: () => act("reactions", { channel: view.channel(), ts: message.ts, name: one.name, remove: mine }) }, emoji(one.name), " ", String(one.count));
  }));
}

function replies(message, view) {
  const status = view.inThread ? null : view.statusOf(message.ts);
  if (view.inThread || (!message.reply_count && !status)) return null;
  const count = message.reply_count ?? 0;
  return el("button.replies", { type: "button", onclick: () => view.openThread(message.ts) }, icon("reply"),
    count ? `${count} ${count === 1 ? "reply" : "replies"}` : "Thread", count ? el("small", {}, `last at ${time(message.latest_reply)}`) : null);
}

function tools(message, view) {
  const mine = message.user === me.user;
  const where = { channel: view.channel(), ts: message.ts };
  return el("div.tools", { role: "group", "aria-label": "Message actions" },
    QUICK.map((name) => el("button.icon-button", { type: "button", "aria-label": `React with ${name}`, title: `:${name}:`, onclick: async () => report(await act("reactions", { ...where, name })) }, emoji(name))),
    view.inThread ? null : iconButton("reply", "Reply in thread", () => view.openThread(message.thread_ts ?? message.ts)),
    view.shortcuts().filter((one) => one.kind === "message").map((one) => el("button.button", { type: "button", onclick: async () => report(await act("shortcuts", { callback_id: one.callback_id, channel: view.channel(), message_ts: message.ts })) }, one.name)),
    mine && !message.files ? el("button.button", { type: "button", onclick: () => edit(message, where) }, "Edit") : null,
    mine ? iconButton("trash", "Delete message", () => remove(where)) : null);
}

async function edit(message, where) {
  const box = el("textarea", { rows: 4, "aria-label": "Message", value: message.text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&") });
  if (await ask({ title: "Edit message", body: box, yes: "Save", no: "Cancel" })) report(await act("messages/edit", { ...where, text: box.value }));
}

async function remove(where) {
  const yes = await ask({ title: "Delete message", body: "This cannot be undone.", yes: "Delete", no: "Cancel", danger: true });
  if (yes) report(await act("messages/delete", where));
}
