// Slack's mrkdwn, rich_text and the markdown block, as DOM. Links are http(s) or mailto, nothing else.

import { el } from "./dom.js";

const EMOJI = { "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", eyes: "👀", tada: "🎉", rocket: "🚀", warning: "⚠️",
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", hourglass: "⌛", hourglass_flowing_sand: "⏳", fire: "🔥",
  bulb: "💡", memo: "📝", bar_chart: "📊", chart_with_upwards_trend: "📈", mag: "🔍", wave: "👋", heart: "❤️", pray: "🙏",
  clap: "👏", robot_face: "🤖", sparkles: "✨", lock: "🔒", no_entry: "⛔", octagonal_sign: "🛑", question: "❓",
  information_source: "ℹ️", file_folder: "📁", page_facing_up: "📄", moneybag: "💰", gear: "⚙️", broom: "🧹", seedling: "🌱",
  thinking_face: "🤔", slightly_smiling_face: "🙂", smile: "😄", point_right: "👉", arrow_right: "➡️", repeat: "🔁",
  stopwatch: "⏱️", large_green_circle: "🟢", large_yellow_circle: "🟡", red_circle: "🔴", ok_hand: "👌", label: "🏷️",
  package: "📦", test_tube: "🧪", dart: "🎯", trophy: "🏆", scales: "⚖️", link: "🔗", inbox_tray: "📥", raised_hands: "🙌" };
let names = { people: {}, channels: {} };

export function know(people, channels, app) {
  names = { people: Object.fromEntries([...people.map((p) => [p.id, p.name]), [app.user, app.handle]]),
    channels: Object.fromEntries(channels.map((c) => [c.id, c.name])) };
}

export const emoji = (name) => EMOJI[name.replace(/::.*/, "")] ?? `:${name}:`;
const unescaped = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const withEmoji = (text) => text.replace(/:([a-z0-9_+'-]+):/g, (whole, name) => EMOJI[name] ?? whole);

export function link(url, label) {
  const safe = /^(https?:|mailto:)/i.test(url);
  return safe ? el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label || url) : el("span", {}, label || url);
}

const mention = (text) => el("span.mention", {}, text);

// mrkdwn ---------------------------------------------------------------------------------------------------------

export function mrkdwn(text) {
  const out = el("div.words.mrkdwn");
  for (const [index, part] of text.split(/```\n?([\s\S]*?)```/g).entries()) {
    if (index % 2) out.append(el("pre", {}, el("code", {}, unescaped(part.replace(/<([^|>]+)(\|[^>]*)?>/g, "$1")))));
    else if (part) out.append(...mrkdwnLines(part));
  }
  return out;
}

function mrkdwnLines(text) {
  const out = [];
  let quote = null;
  for (const line of text.split("\n")) {
    const quoted = line.match(/^(?:&gt;|>) ?(.*)/);
    if (quoted) {
      if (!quote) out.push((quote = el("blockquote")));
      quote.append(...inline(quoted[1]), el("br"));
    } else {
      out.push(...inline(line), el("br"));
      quote = null;
    }
  }
  if (out.at(-1)?.tagName === "BR") out.pop();
  return out;
}

const INLINE = /(`[^`\n]+`)|<([^<>\n]+)>|(?<![\w*])\*(?=\S)([^*\n]*?\S)\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]*?\S)_(?![\w_])|(?<![\w~])~(?=\S)([^~\n]*?\S)~(?![\w~])/g;

function inline(text) {
  const out = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) out.push(withEmoji(unescaped(text.slice(end, found.index))));
    end = found.index + found[0].length;
    const [, code, token, bold, italic, strike] = found;
    if (code) out.push(el("code", {}, unescaped(code.slice(1, -1))));
    else if (token) out.push(angled(token));
    else if (bold) out.push(el("strong", {}, inline(bold)));
    else if (italic) out.push(el("em", {}, inline(italic)));
    else out.push(el("s", {}, inline(strike)));
  }
  if (end < text.length) out.push(withEmoji(unescaped(text.slice(end))));
  return out;
}

function angled(token) {
  const [target, label] = token.split("|");
  if (target.startsWith("@")) return mention("@" + (names.people[target.slice(1)] ?? label ?? target.slice(1)));
  if (target.startsWith("#")) return mention("#" + (names.channels[target.slice(1)] ?? label ?? target.slice(1)));
  if (target.startsWith("!date^")) return el("time", { title: new Date(Number(target.split("^")[1]) * 1000).toLocaleString() }, date(target, label));
  if (target.startsWith("!")) return mention("@" + (label?.replace(/^@/, "") ?? target.slice(1)));
  return link(unescaped(target), label ? unescaped(label) : null);
}

// <!date^stamp^format^link|fallback>: the reader's own time zone and words, near days by name.
function date(target, label) {
  const [, stamp, format] = target.split("^");
  const at = new Date(Number(stamp) * 1000);
  if (!stamp || !format || Number.isNaN(at.getTime())) return label ?? target;
  return format.replace(/\{(\w+)\}/g, (whole, name) => (DATES[name.replace(/_pretty$/, "")] ? dated(name, at) : whole));
}

const DATES = { date_num: { year: "numeric", month: "2-digit", day: "2-digit" }, date: { day: "numeric", month: "long", year: "numeric" },
  date_short: { day: "numeric", month: "short", year: "numeric" }, date_long: { weekday: "long", day: "numeric", month: "long", year: "numeric" },
  time: { hour: "2-digit", minute: "2-digit" }, time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit" } };

function dated(name, at) {
  const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
  const days = Math.round((midnight(at) - midnight(new Date())) / 86400000);
  if (name.endsWith("_pretty") && Math.abs(days) <= 1) return ["yesterday", "today", "tomorrow"][days + 1];
  return at.toLocaleString(undefined, DATES[name.replace(/_pretty$/, "")]);
}

export function textObject(object) {
  if (object.type === "mrkdwn") return mrkdwn(object.text);
  return el("span.words", {}, withEmoji(object.text));
}

export const plainOf = (object) => (object ? withEmoji(object.text) : "");

// rich_text ------------------------------------------------------------------------------------------------------

export function richText(block) {
  return el("div.words", {}, (block.elements ?? []).map(richElement));
}

function richElement(element) {
  const parts = () => (element.elements ?? []).map(richPart);
  if (element.type === "rich_text_preformatted") return el("pre", {}, el("code", {}, parts()));
  if (element.type === "rich_text_quote") return el("blockquote", {}, parts());
  if (element.type === "rich_text_list") {
    const list = el(element.style === "ordered" ? "ol" : "ul", {}, element.elements.map((one) => el("li", {}, richElement(one))));
    list.style.setProperty("--indent", element.indent ?? 0);
    return list;
  }
  return el("div.rich-section", {}, parts());
}

function richPart(part) {
  const nodes = { text: () => withEmoji(part.text), link: () => link(part.url, part.text), emoji: () => emoji(part.name),
    user: () => mention("@" + (names.people[part.user_id] ?? part.user_id)),
    channel: () => mention("#" + (names.channels[part.channel_id] ?? part.channel_id)),
    broadcast: () => mention("@" + part.range), usergroup: () => mention("@" + part.usergroup_id),
    date: () => new Date(part.timestamp * 1000).toLocaleString() };
  let node = (nodes[part.type] ?? (() => ""))();
  const style = part.style ?? {};
  for (const [name, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"], ["underline", "u"]]) {
    if (style[name]) node = el(tag, {}, node);
  }
  return node;
}

// The markdown block ---------------------------------------------------------------------------------------------

export function markdown(text) {
  const out = el("div.words.markdown");
  const lines = text.split("\n");
  let at = 0;
  while (at < lines.length) at = markdownBlock(lines, at, out);
  return out;
}

const LIST = /^(\s*)([-*+]|\d+[.)])\s+(.*)/;

function markdownBlock(lines, at, out) {
  const line = lines[at];
  if (/^\s*```/.test(line)) return fenced(lines, at, out);
  if (!line.trim()) return at + 1;
  const heading = line.match(/^(#{1,6})\s+(.*)/);
  if (heading) return out.append(el(`h${Math.min(6, heading[1].length + 2)}`, {}, spans(heading[2]))), at + 1;
  if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) return out.append(el("hr")), at + 1;
  if (/^\s*>/.test(line)) return gathered(lines, at, out, /^\s*>\s?/, (text) => el("blockquote", {}, spans(text)));
  if (LIST.test(line)) return listed(lines, at, out);
  if (line.includes("|") && /^\s*\|?[\s:|-]+\|[\s:|-]*$/.test(lines[at + 1] ?? "")) return tabled(lines, at, out);
  const start = at;
  const words = [];
  while (at < lines.length && lines[at].trim() && (at === start || !/^(#|\s*```|\s*>|\s*[-*+]\s|\s*\d+[.)]\s)/.test(lines[at]))) words.push(lines[at++]);
  out.append(el("p", {}, words.flatMap((word, n) => (n ? [el("br"), ...spans(word)] : spans(word)))));
  return at;
}

function fenced(lines, at, out) {
  const body = [];
  for (at++; at < lines.length && !/^\s*```/.test(lines[at]); at++) body.push(lines[at]);
  out.append(el("pre", {}, el("code", {}, body.join("\n"))));
  return at + 1;
}

function gathered(lines, at, out, mark, build) {
  const body = [];
  for (; at < lines.length && mark.test(lines[at]); at++) body.push(lines[at].replace(mark, ""));
  out.append(build(body.join(" ")));
  return at;
}

function listed(lines, at, out) {
  const ordered = /^\s*\d/.test(lines[at]);
  const list = el(ordered ? "ol" : "ul");
  for (let found; at < lines.length && (found = lines[at].match(LIST)); at++) {
    const item = el("li", {}, spans(found[3]));
    item.style.setProperty("--indent", Math.floor(found[1].length / 2));
    list.append(item);
  }
  out.append(list);
  return at;
}

function tabled(lines, at, out) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const head = cells(lines[at]);
  const body = [];
  for (at += 2; at < lines.length && lines[at].includes("|"); at++) body.push(cells(lines[at]));
  out.append(el("div.table-scroll", { tabindex: "0" }, el("table", {}, el("thead", {}, el("tr", {}, head.map((c) => el("th", { scope: "col" }, spans(c))))),
    el("tbody", {}, body.map((row) => el("tr", {}, row.map((c) => el("td", {}, spans(c)))))))));
  return at;
}

const SPANS = /(`[^`]+`)|\[([^\]]+)\]\(([^)\s]+)\)|\*\*(.+?)\*\*|__(.+?)__|(?<!\w)[*_](?=\S)(.+?\S|\S)[*_](?!\w)|~~(.+?)~~|(https?:\/\/[^\s<>()]*[^\s<>().,;:!?])/g;

function spans(text) {
  const out = [];
  let end = 0;
  for (const found of text.matchAll(SPANS)) {
    if (found.index > end) out.push(withEmoji(unescaped(text.slice(end, found.index))));
    end = found.index + found[0].length;
    const [, code, label, url, bold, strong, italic, strike, bare] = found;
    if (code) out.push(el("code", {}, code.slice(1, -1)));
    else if (label) out.push(link(url, label));
    else if (bold || strong) out.push(el("strong", {}, spans(bold || strong)));
    else if (italic) out.push(el("em", {}, spans(italic)));
    else if (strike) out.push(el("s", {}, spans(strike)));
    else out.push(link(bare));
  }
  if (end < text.length) out.push(withEmoji(unescaped(text.slice(end))));
  return out;
}
