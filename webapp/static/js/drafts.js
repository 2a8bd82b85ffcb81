// Answers that were begun and what was measured meanwhile, kept in this browser by assignment until they are sent: ids,
// answers and seconds only, no text that was judged.

const MOST = 20;
const MEASURED = ["active_seconds", "idle_seconds", "exposure"];
const NOT_ANSWERS = new Set(["submit_key", "form", "guidelines", "csrfmiddlewaretoken", "person", "interface_language", ...MEASURED]);

export class Drafts {
  constructor(name) { this.name = name; }

  #all() {
    try { return JSON.parse(localStorage.getItem(this.name)) ?? {}; } catch { return {}; }
  }

  #save(drafts) {
    const kept = Object.entries(drafts).sort(([, a], [, b]) => b.at - a.at).slice(0, MOST);
    try {
      if (kept.length) localStorage.setItem(this.name, JSON.stringify(Object.fromEntries(kept)));
      else localStorage.removeItem(this.name);
    } catch { /* storage is full or forbidden: the draft lives as long as the page */ }
  }

  // What was begun of this form: { fields, measured }; `fields` may be empty.
  get(assignment, form) {
    const draft = this.#all()[assignment];
    return draft?.form === form ? draft : { fields: {}, measured: {} };
  }

  set(assignment, form, given) {
    const fields = Object.fromEntries(Object.entries(given).filter(([name, value]) => !NOT_ANSWERS.has(name) && value !== ""));
    const measured = Object.fromEntries(MEASURED.filter((name) => name in given).map((name) => [name, given[name]]));
    this.#save({ ...this.#all(), [assignment]: { at: Date.now(), form, fields, measured } });
  }

  drop(assignment) {
    const { [assignment]: _, ...others } = this.#all();
    this.#save(others);
  }
}
