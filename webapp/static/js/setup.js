// The live preview of the form editor: what was typed is posted, and the frame shows the answer in place. The frame's own
// script (preview.js) makes it work.

const WAIT = 400;
const form = document.querySelector("form[data-setup]");
const frame = document.querySelector("iframe[name=preview]");
const button = document.querySelector("[data-preview]");
let timer = 0, newest = 0;

async function show() {
  const mine = ++newest;
  let text;
  try {
    const reply = await fetch(button.formAction, { method: "POST", body: new FormData(form), credentials: "same-origin" });
    if (!reply.ok) return;
    text = await reply.text();
  } catch {
    return; // without network the preview waits for the next change
  }
  const inside = frame.contentDocument;
  if (mine !== newest || !inside?.body) return;
  const next = new DOMParser().parseFromString(text, "text/html");
  const top = inside.scrollingElement?.scrollTop ?? 0;
  inside.body.replaceWith(inside.adoptNode(next.body));
  if (inside.scrollingElement) inside.scrollingElement.scrollTop = top;
  inside.dispatchEvent(new Event("winnow:shown"));
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(show, WAIT);
}

if (form && frame && button) {
  // The sample texts stand outside of the form and belong to it.
  document.addEventListener("input", (event) => { if (event.target.form === form) soon(); });
  button.addEventListener("click", (event) => { event.preventDefault(); show(); });
  // After an added, moved or removed question, or an error, the frame's own address knows an older form.
  if (frame.contentDocument?.readyState === "complete" && frame.contentDocument.body?.className) soon();
  frame.addEventListener("load", soon, { once: true });
}
