// The annotator's page in the form editor's frame: its own form and keys on a sample comparison. What is answered here goes
// nowhere: the frame's policy lets neither forms nor scripts send anything.

import * as differences from "./differences.js";
import { AnswerForm, load } from "./form.js";
import { formKey, latin, typing } from "./keys.js";
import { make as element } from "./words.js";

const body = () => document.body;
const root = () => document.querySelector("[data-item]");
let form = null, untouched = null, found = [], at = -1;

function say(text) {
  const live = document.querySelector("[data-live]");
  if (live) live.textContent = text;
}

function toast(text, kind = "") {
  root()?.querySelector("[data-toast-slot]")?.replaceChildren(element("span", { class: kind }, text));
  say(text);
}

// Attaches to what the frame shows now; an answer that was begun stays where the new form still asks for it.
async function begin(fields = null) {
  form?.leave();
  form = null;
  const shown = root();
  if (!shown) return;
  untouched = shown.cloneNode(true);
  await load(shown);
  if (shown !== root()) return;
  body().classList.add("scripted");
  form = new AnswerForm(shown, { changed() {}, say });
  if (fields) form.fill(fields);
  body().dataset.ready = "";
}

function submit() {
  if (!form) return;
  const complaint = form.complaint();
  if (complaint) {
    form.mark(form.missing() ?? form.current);
    return toast(complaint, "warn");
  }
  const word = form.word;
  root().replaceWith(untouched);
  begin().then(() => toast(`Would be saved: ${word}. Here it goes nowhere.`));
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.matches("[data-answer]")) submit();
  else toast("Annotators skip and flag with this. Here it goes nowhere.");
});

function differ() {
  if (!differences.supported) return;
  at = -1;
  found = body().classList.toggle("differs") ? differences.show(root()) : (differences.hide(), []);
}

const tools = {
  d: differ,
  n() { if (!body().classList.contains("differs")) differ(); if (found.length) differences.goTo(found[at = (at + 1) % found.length]); },
  j: () => form.step(1),
  k: () => form.step(-1),
  p: (event) => form.clear(event.shiftKey),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !form) return;
  if (event.key === "Escape") { if (!formKey(event, form) && typing(event)) form.mark(form.current); return; }
  if ((event.repeat && !event.key.startsWith("Arrow")) || typing(event) || formKey(event, form)) return;
  if (event.key === "Enter") {
    if (event.target.closest("button, a, summary")) return;
    event.preventDefault();
    return submit();
  }
  if (event.key.startsWith("Arrow")) return;
  const key = latin(event);
  const stood = form.stands;
  if (!(event.shiftKey && form.letters.includes(key)) && form.pick(key)) {
    event.preventDefault();
    const label = form.takePressed();
    if (label?.matches("[data-goes]") && "goesOnKey" in root().dataset && (!stood || stood === label.querySelector("input"))) submit();
  } else if (tools[key]) {
    event.preventDefault();
    tools[key](event);
  }
});

document.addEventListener("winnow:shown", () => { const fields = form?.fields() ?? null; body().classList.remove("differs"); begin(fields); });
begin();
