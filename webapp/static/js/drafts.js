// Answers that were begun, kept in this browser by assignment until they are sent: ids and answers only, no text that
// was judged.

const MOST = 20;
const NOT_ANSWERS = new Set([
  ...["submit_key", "form", "guidelines", "csrfmiddlewaretoken", "person"],
  ...["active_seconds", "idle_seconds", "exposure", "interface_language"],
]);

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

  get(assignment, form) {
    const draft = this.#all()[assignment];
    return draft?.form === form ? draft.fields : null;
  }

  set(assignment, form, fields) {
    const answers = Object.fromEntries(Object.entries(fields).filter(([name, value]) => !NOT_ANSWERS.has(name) && value !== ""));
    const { [assignment]: _, ...others } = this.#all();
    this.#save(Object.keys(answers).length ? { ...others, [assignment]: { at: Date.now(), form, fields: answers } } : others);
  }

  drop(assignment) {
    const { [assignment]: _, ...others } = this.#all();
    this.#save(others);
  }
}
