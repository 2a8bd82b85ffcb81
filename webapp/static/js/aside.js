// Setting an answer aside at which the server fails each time: by hand only, after it was kept as a file and confirmed.

import { make, t } from "./words.js";

// Asks, and calls `done` once the answer is to leave this browser. The file holds ids and the answer, as the browser does.
export function askAside(entry, project, done) {
  const title = make("h2", { id: "aside-title" }, t("Set this answer aside?"));
  const words = make("p", { class: "soft gap-b" }, t("It then leaves this browser, is not sent any more and does not count, and its comparison may come again. Keep it as a file first, for whoever runs this server: it holds numbers and your answer."));
  const file = new Blob([JSON.stringify({ project, ...entry }, null, 2)], { type: "application/json" });
  const keep = make("a", { class: "btn", href: URL.createObjectURL(file), download: `answer-${entry.assignment}.json` }, t("Keep it as a file"));
  const aside = make("button", { class: "btn danger", type: "button", disabled: true }, t("Set it aside"));
  const no = make("button", { class: "btn", type: "button", autofocus: true }, t("Go on trying"));
  const dialog = make("dialog", { "aria-labelledby": "aside-title" }, title, words, make("div", { class: "row" }, keep, aside, no));
  keep.addEventListener("click", () => { aside.disabled = false; });
  aside.addEventListener("click", () => { dialog.close(); done(); });
  no.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { URL.revokeObjectURL(keep.href); dialog.remove(); });
  document.body.append(dialog);
  dialog.showModal();
}
