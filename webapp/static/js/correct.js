// Correcting one's own answer: the same form and keys as on the annotation page, posted as an ordinary form.

import { AnswerForm, load } from "./form.js";
import { Keys, formKey, latin, openSheet, toSentence, typing } from "./keys.js";
import { token } from "./outbox.js";
import { make, t } from "./words.js";

const root = document.querySelector("[data-item]"), element = root.querySelector("[data-answer]");
const list = document.querySelector("[data-key=h]"), keys = new Keys(document.querySelector("[data-key-settings]"), token);
let form = null, before = "", isSent = false;

if (element) {
  await load(root);
  document.body.classList.add("scripted");
  form = new AnswerForm(root, { changed: sayWhetherChanged, say() {} });
  before = given();
  root.addEventListener("input", sayWhetherChanged);
  element.addEventListener("submit", (event) => {
    const complaint = form.complaint();
    if (!complaint) {
      isSent = true;
      return dropUnsent(form);
    }
    event.preventDefault();
    form.mark(form.missing());
    tell(complaint);
  });
}
keys.print();
form?.mark(form.current, { scroll: false }); // Tab goes on from the form, not from the page's first link
document.body.dataset.ready = "";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (form && event.key === "Escape" && typing(event)) return form.mark(form.current);
  if (event.repeat || typing(event) || (form && formKey(event, form))) return;
  if (event.key === "Escape") return list.click();
  if (form && event.key === "Enter") {
    if (event.target.closest("button, a, summary")) return;
    event.preventDefault();
    element.requestSubmit();
    return;
  }
  if (form && event.key === "Tab" && toSentence(event, form)) return event.preventDefault();
  if (keys.on) singleKey(event);
});

function singleKey(event) {
  const pressed = latin(event), isOfForm = Boolean(form?.letters.includes(pressed));
  const key = isOfForm ? pressed : keys.shipped(pressed);
  if (key === null) return;
  if (form && !(event.shiftKey && isOfForm) && form.pick(key)) event.preventDefault();
  else if (key === "h") list.click();
  else if (key === "?") openSheet(form, keys, [..."xusfzdnolvg", ...((form?.rows().length ?? 0) > 1 ? [] : "jkp")]);
  else if (form && (key === "j" || key === "k")) form.step(key === "j" ? 1 : -1);
  else if (form && key === "p") form.clear(event.shiftKey);
}

// --- what was changed is not lost without a word ---

function given() {
  return JSON.stringify(Object.entries(form.fields()).sort());
}

function isChanged() {
  return Boolean(form) && !isSent && given() !== before;
}

function sayWhetherChanged() {
  tell(isChanged() ? t("Changed, not saved yet") : "");
}

function tell(words) {
  root.querySelector("[data-toast-slot]").replaceChildren(...(words ? [make("span", { class: "warn" }, words)] : []));
}

// Whatever leads away (the link, its key, Escape, closing the tab): the browser asks, in its own words.
addEventListener("beforeunload", (event) => {
  if (isChanged()) event.preventDefault();
});
addEventListener("pageshow", () => { isSent = false; });

// Fields that the form holds and would not send: an edit that was opened and not changed.
function dropUnsent(form) {
  const sent = form.fields();
  for (const input of root.querySelectorAll("[form=answer][name]")) if (!(input.name in sent)) input.disabled = true;
}
