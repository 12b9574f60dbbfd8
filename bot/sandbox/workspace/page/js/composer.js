// The box to write in: words, slash commands, files (picked, pasted or dropped) and the sample datasets at hand.

import { act, upload } from "./api.js";
import { report, toast } from "./dialogs.js";
import { el, icon, iconButton } from "./dom.js";

const size = (bytes) => (bytes < 1048576 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1048576).toFixed(1)} MB`);

// `where()` gives {channel, thread_ts}; `samples()` and `hints()` what is at hand.
export function composer(form, { id, where, samples, hints, placeholder, sent }) {
  const files = [];
  const box = el("textarea", { id, rows: 1, "aria-label": "Message", autocomplete: "off" });
  const list = el("ul.attached", { "aria-label": "Files to send" });
  const picker = el("input", { type: "file", multiple: true, hidden: true, onchange: () => { add(picker.files); picker.value = ""; } });
  const menu = el("div.menu.up", { role: "menu", hidden: true });
  const sample = el("button.text-button", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => toggle(menu.hidden) }, icon("data"), "Sample dataset");
  const suggestions = el("div.suggestions", { role: "listbox", "aria-label": "Suggestions", hidden: true });
  const send = el("button.send", { type: "submit", "aria-label": "Send" }, icon("send"));

  function toggle(shown) {
    menu.replaceChildren(...samples().map((name) => el("button", { type: "button", role: "menuitem", onclick: () => { toggle(false); share(name); } }, icon("file"), name)));
    menu.hidden = !shown;
    sample.setAttribute("aria-expanded", String(shown));
    if (shown) menu.firstChild?.focus();
  }

  async function share(name) {
    const text = box.value.trim();
    const answer = report(await act("samples", { ...where(), name, text: text.startsWith("/") ? "" : text }));
    if (answer.ok) done(answer);
  }

  function add(found) {
    files.push(...found);
    list.replaceChildren(...files.map((file, n) => el("li", {}, icon("file"), `${file.name} · ${size(file.size)}`,
      iconButton("close", `Remove ${file.name}`, () => { files.splice(n, 1); add([]); }))));
  }

  function done(answer) {
    box.value = "";
    files.length = 0;
    add([]);
    grow();
    sent?.(answer);
  }

  function grow() {
    box.style.height = "auto";
    box.style.height = `${Math.min(220, box.scrollHeight)}px`;
    suggest();
  }

  function suggest() {
    const word = box.value.slice(0, box.selectionStart).match(/(?:^|\s)([/@][\w.-]*)$/)?.[1];
    const found = word ? hints().filter((hint) => hint.text.startsWith(word) && hint.text !== word && (word[0] === "@" || box.value.startsWith(word))) : [];
    suggestions.hidden = !found.length;
    suggestions.replaceChildren(...found.slice(0, 6).map((hint) => el("button", { type: "button", role: "option", onclick: () => take(word, hint) }, el("strong", {}, hint.text), el("small", {}, hint.about))));
  }

  function take(word, hint) {
    const start = box.selectionStart - word.length;
    box.setRangeText(`${hint.text} `, start, box.selectionStart, "end");
    box.focus();
    suggest();
  }

  async function submit() {
    const text = box.value.trim();
    if (!text && !files.length) return;
    send.disabled = true;
    try {
      const answer = files.length ? await upload({ ...where(), text }, files) : await act(/^\/\w/.test(text) ? "commands" : "messages", { ...where(), text });
      if (answer.ok) done(answer);
      else if (text.startsWith("/") && answer.message) done(answer);
      else report(answer);
    } catch {
      toast("The workspace could not be reached. Your words are still here.");
    } finally {
      send.disabled = false;
      box.focus();
    }
  }

  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
    else if (event.key === "Tab" && !suggestions.hidden && !event.shiftKey) { event.preventDefault(); suggestions.firstChild.click(); }
    else if (event.key === "Escape" && !suggestions.hidden) { event.stopPropagation(); suggestions.hidden = true; }
  });
  box.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); add(event.clipboardData.files); } });
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape" && !menu.hidden) { event.stopPropagation(); toggle(false); sample.focus(); } });
  form.parentNode.addEventListener("dragover", (event) => event.preventDefault());
  form.parentNode.addEventListener("drop", (event) => { event.preventDefault(); add(event.dataTransfer.files); });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) { menu.hidden = true; sample.setAttribute("aria-expanded", "false"); } });

  form.replaceChildren(suggestions, el("div.box", {}, box, list, el("div.composer-tools", {},
    iconButton("clip", "Attach files", () => picker.click()), picker,
    iconButton("at", "Mention the app", () => { box.setRangeText(`${hints()[0].text} `, box.selectionStart, box.selectionEnd, "end"); box.focus(); }),
    el("span.menu-wrap", {}, sample, menu), el("span.grow"), send)));
  return { name: () => { box.placeholder = placeholder(); }, focus: () => box.focus(), fill: (text) => { box.value = text; grow(); box.focus(); } };
}
