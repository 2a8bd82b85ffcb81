// Sections of very long texts, loaded when they are opened; and headings that an outline jumps to take the focus.

import "./media.js";

async function load(section) {
  const link = section.querySelector("a");
  if (!link || section.getAttribute("aria-busy") === "true") return;
  section.setAttribute("aria-busy", "true");
  const reply = await fetch(`${link.href}&fragment=1`, { headers: { "X-Requested-With": "fetch" }, redirect: "manual" }).catch(() => null);
  section.removeAttribute("aria-busy");
  if (!reply?.ok) return; // also where signing in is asked for: the link still stands there and says what went wrong
  const inner = document.createElement("template");
  inner.innerHTML = await reply.text(); // our own page's fragment, made safe by the server
  link.parentElement.replaceWith(inner.content);
}

document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details[data-section]") && event.target.open) load(event.target);
}, true);

document.addEventListener("click", (event) => {
  const link = event.target.closest(".outline a");
  const heading = link && document.getElementById(link.hash.slice(1));
  if (!heading) return;
  event.preventDefault();
  heading.scrollIntoView({ block: "start" });
  heading.focus({ preventScroll: true });
});
