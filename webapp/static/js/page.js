// What every page shares: dialogs that confirm, copy buttons, rows opened by key, ranges that show their number.

import { outboxNames } from "./outbox.js";

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.confirmed) return;
    event.preventDefault();
    confirmFirst(form, event.submitter);
  });
}

function confirmFirst(form, submitter) {
  const dialog = document.createElement("dialog");
  const title = document.createElement("h2"), words = document.createElement("p"), row = document.createElement("div");
  title.textContent = form.dataset.confirm;
  words.textContent = form.dataset.confirmMore ?? "";
  words.className = "soft gap-b";
  row.className = "row";
  const yes = document.createElement("button"), no = document.createElement("button");
  yes.className = "btn danger";
  yes.textContent = submitter?.textContent.replace("…", "").trim() || "Go on";
  no.className = "btn";
  no.textContent = form.dataset.keep ?? "Keep everything as it is";
  no.autofocus = true;
  row.append(yes, no);
  dialog.append(title, words, row);
  document.body.append(dialog);
  yes.onclick = () => { form.dataset.confirmed = "1"; dialog.close(); form.requestSubmit(submitter ?? undefined); };
  no.onclick = () => dialog.close();
  dialog.onclose = () => dialog.remove();
  dialog.showModal();
}

// Signing out while answers of this person still wait in this browser asks first.
for (const form of document.querySelectorAll("form[data-sign-out]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.confirmed || !outboxNames(form.dataset.signOut).length) return;
    event.preventDefault();
    form.dataset.confirm = form.dataset.waiting;
    form.dataset.confirmMore = form.dataset.waitingMore;
    confirmFirst(form, event.submitter);
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = "Copied";
});

// J and K move along the rows of the page's main list; Enter opens, as the row's link does.
document.addEventListener("keydown", (event) => {
  if (!["j", "k"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const links = [...document.querySelectorAll("[data-rows] tbody tr td a[data-open]")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, at + (event.key === "j" ? 1 : -1)))].focus();
});

document.addEventListener("input", (event) => {
  const out = event.target.dataset?.shows && document.getElementById(event.target.dataset.shows);
  if (out) out.textContent = event.target.value;
});

// Tables and charts that scroll on their own take focus, so that keys can scroll them.
function scrollersTakeFocus() {
  for (const box of document.querySelectorAll(".tw, pre.json")) {
    if (box.scrollWidth > box.clientWidth || box.matches("pre")) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
scrollersTakeFocus();
addEventListener("resize", scrollersTakeFocus);
document.addEventListener("htmx:afterSwap", scrollersTakeFocus);

const tab = document.querySelector(".tabs [aria-current]");
if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 60;
