// Every Block Kit block as DOM. `host` says what to do with clicks and inputs (messages, modals and Home differ).

import { el, icon } from "./dom.js";
import { chart } from "./charts.js";
import { element, source } from "./elements.js";
import { link, markdown, plainOf, richText, textObject } from "./words.js";

export function blocks(list, host) {
  return list.map((block) => one(block, host));
}

function one(block, host) {
  const build = BUILDERS[block.type];
  return build ? build(block, host) : el("div.block.unknown", {}, `[${block.type} block]`);
}

function section(block, host) {
  return el("div.block.section", {},
    el("div.section-body", {}, block.text ? textObject(block.text) : null,
      block.fields ? el("div.fields", {}, block.fields.map((field) => el("div", {}, textObject(field)))) : null),
    block.accessory ? el("div.accessory", {}, element(block, block.accessory, host)) : null);
}

const header = (block) => el("h3.block.header", {}, plainOf(block.text));
const divider = () => el("hr.block");
const actions = (block, host) => el("div.block.actions", {}, block.elements.map((item) => element(block, item, host)));

function context(block, host) {
  return el("div.block.context", {}, block.elements.map((item) => (item.type === "image" ? element(block, item, host) : textObject(item))));
}

function image(block) {
  const address = source(block);
  return el("figure.block.image", {}, block.title ? el("figcaption", {}, plainOf(block.title)) : null,
    el("a", { href: address, target: "_blank", rel: "noopener" }, el("img", { src: address, alt: block.alt_text })));
}

function input(block, host) {
  const fault = host.fault?.(block);
  return el("div.block.input", { "data-block": block.block_id },
    el("div.label", {}, plainOf(block.label), block.optional ? el("small", {}, " (optional)") : null),
    element(block, block.element, host),
    fault ? el("p.fault", { role: "alert" }, fault) : null,
    block.hint ? el("p.hint", {}, plainOf(block.hint)) : null);
}

function cell(held) {
  if (held.type === "rich_text") return richText(held);
  return held.text ?? String(held.value ?? "");
}

function table(block) {
  const align = (n) => block.column_settings?.[n]?.align;
  const row = (cells, tag, scope) => el("tr", {}, cells.map((held, n) => {
    const node = el(tag, { scope }, cell(held));
    if (!block.column_settings?.[n]?.is_wrapped) node.classList.add("one-line");
    if (align(n) || held.type === "raw_number") node.style.textAlign = align(n) ?? "right";
    return node;
  }));
  const [head, ...body] = block.rows;
  return el("div.block.table-scroll", { tabindex: "0", role: "region", "aria-label": block.caption ?? "Table" },
    el("table", {}, block.caption ? el("caption", {}, block.caption) : null, el("thead", {}, row(head, "th", "col")),
      el("tbody", {}, body.map((cells) => row(cells, "td")))));
}

const MARKS = { pending: ["○", "waiting"], in_progress: ["◐", "in progress"], complete: ["✓", "done"], error: ["✕", "failed"] };

function taskCard(block) {
  const [mark, said] = MARKS[block.status] ?? MARKS.pending;
  return el(`div.block.task.${block.status}`, {},
    el("span.mark", { "aria-hidden": "true" }, mark),
    el("div", {}, el("div.task-title", {}, block.title, el("span.sr-only", {}, ` (${said})`)),
      block.details ? el("div.task-more", {}, richText(block.details)) : null,
      block.output ? el("div.task-more", {}, richText(block.output)) : null,
      block.sources?.length ? el("div.task-more", {}, block.sources.map((held) => link(held.url, held.text))) : null));
}

const plan = (block) => el("div.block.plan", {}, el("div.plan-title", {}, block.title), (block.tasks ?? []).map(taskCard));

function card(block, host) {
  return el("article.block.card", {},
    block.hero_image ? el("img.hero", { src: source(block.hero_image), alt: block.hero_image.alt_text }) : null,
    el("div.card-head", {}, block.icon ? el("img.thumb", { src: source(block.icon), alt: block.icon.alt_text }) : null,
      el("div", {}, block.title ? el("div.card-title", {}, textObject(block.title)) : null,
        block.subtitle ? el("div.card-subtitle", {}, textObject(block.subtitle)) : null)),
    block.body ? el("div.card-body", {}, textObject(block.body)) : null,
    block.actions ? el("div.actions", {}, block.actions.map((item) => element(block, item, host))) : null);
}

const carousel = (block, host) => el("div.block.carousel", { tabindex: "0", role: "region", "aria-label": "Cards, scroll sideways" }, block.elements.map((held) => card({ block_id: block.block_id, ...held }, host)));

function container(block, host) {
  const title = [block.icon ? el("img.thumb", { src: source(block.icon), alt: block.icon.alt_text }) : null,
    el("strong", {}, block.rich_text_title ? richText(block.rich_text_title) : plainOf(block.title)), block.subtitle ? el("small", {}, textObject(block.subtitle)) : null];
  const inside = blocks(block.child_blocks, host);
  if (block.is_collapsible) return el("details.block.container", { open: !block.default_collapsed }, el("summary", {}, title), inside);
  return el("section.block.container", {}, el("div.container-title", {}, title), inside);
}

const SIGNS = { info: "ℹ️", warning: "⚠️", error: "⛔", success: "✅", default: "📌" };
const alert = (block) => el(`div.block.alert.${block.level ?? "default"}`, { role: "note" }, el("span", { "aria-hidden": "true" }, SIGNS[block.level ?? "default"]), textObject(block.text));
const file = (block) => el("div.block.file-card", {}, icon("file"), el("span", {}, block.external_id));
const video = (block) => el("div.block", {}, link(block.title_url ?? block.video_url, plainOf(block.title)));

const BUILDERS = { section, header, divider, actions, context, image, input, table, plan, card, carousel, container, alert, file, video,
  markdown: (block) => el("div.block", {}, markdown(block.text)), rich_text: (block) => el("div.block", {}, richText(block)),
  context_actions: actions, task_card: taskCard, data_table: table, data_visualization: (block) => el("div.block", {}, chart(block)) };
