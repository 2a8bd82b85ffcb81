// Correcting one's own answer: the same form and keys as on the annotation page, posted as an ordinary form.

import { AnswerForm, load } from "./form.js";
import { formKey, latin, typing } from "./keys.js";

const root = document.querySelector("[data-item]"), element = root.querySelector("[data-answer]");
if (element) {
  await load(root);
  document.body.classList.add("scripted");
  const form = new AnswerForm(root, { changed() {}, say() {} });
  element.addEventListener("submit", (event) => {
    const complaint = form.complaint();
    if (!complaint) return dropUnsent(form);
    event.preventDefault();
    form.mark(form.missing());
    root.querySelector("[data-toast-slot], [data-progress]")?.replaceChildren(complaint);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && typing(event)) return form.mark(form.current);
    if (event.repeat || typing(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (formKey(event, form)) return;
    const key = latin(event);
    if (event.key === "Enter") {
      if (event.target.closest("button, a, summary")) return;
      event.preventDefault();
      element.requestSubmit();
    } else if (form.pick(key)) event.preventDefault();
    else if (key === "j" || key === "k") form.step(key === "j" ? 1 : -1);
    else if (key === "p") form.clear();
  });
}

// Fields that the form holds and would not send: an edit that was opened and not changed.
function dropUnsent(form) {
  const sent = form.fields();
  for (const input of root.querySelectorAll("[form=answer][name]")) if (!(input.name in sent)) input.disabled = true;
}
