// A form of any feedback type as rows under one cursor. J and K move it, digits answer the row that it marks, and it goes
// on by itself: from an empty row to the next empty one, from an answered one to the next, so that answers typed anew meet
// their rows. What a type adds (ranking, slider, edit, spans) attaches to its block and answers for its rows.

import { t, tn } from "./words.js";

const modules = new Map();

// The types' own modules, before the form that needs them is drawn.
export function load(root) {
  const names = new Set([...root.querySelectorAll("[data-script]")].map((block) => block.dataset.script));
  return Promise.all([...names].map(async (name) => {
    if (!modules.has(name)) modules.set(name, await import(`./feedback/${name}.js`));
  }));
}

const POINTER_MS = 800;
const MOST_SAID = 110, MOST_STEPS = 12;
const TOGETHER_MS = 1000; // digits typed so close are one number

const isEdit = (row) => row.dataset.look === "edit";
// A repair that may be left out is opened by its key: were the cursor to come by itself, digits meant for the scale before
// would choose what is repaired.
const waits = (row) => isEdit(row) && !("needed" in row.dataset);

export class AnswerForm {
  // `on`: changed() after every change; say(text) for the live region; holds(form), what else must come before Enter submits.
  constructor(root, on) {
    Object.assign(this, { root, on, pointerAt: 0, typed: { digits: "", at: 0 } });
    this.element = root.querySelector("[data-answer]");
    this.letters = root.querySelector("[data-letters]")?.dataset.letters ?? root.dataset.letters ?? "";
    this.attached = new Map();
    if (!this.element) return;
    this.element.noValidate = true;
    for (const block of root.querySelectorAll("[data-script]")) {
      const data = block.querySelector("script[data-of]");
      const made = modules.get(block.dataset.script).attach(block, data ? JSON.parse(data.textContent) : {}, this);
      this.attached.set(block.dataset.block, made);
    }
    this.listening = new AbortController();
    const { signal } = this.listening;
    root.addEventListener("pointerdown", () => { this.pointerAt = Date.now(); }, { signal });
    root.addEventListener("change", (event) => this.#changed(event), { signal });
    root.addEventListener("focusin", (event) => this.#focused(event), { signal });
    for (const button of root.querySelectorAll("[data-step]")) button.addEventListener("click", () => this.step(Number(button.dataset.step)), { signal });
    for (const pager of root.querySelectorAll("[data-pager]")) pager.hidden = this.rows().length < 2;
    this.mark(this.missing() ?? this.rows()[0], { focus: false, scroll: false });
    this.refresh();
  }

  leave() {
    this.listening?.abort();
    for (const one of this.attached.values()) one.leave?.();
  }

  // Rows in the order of the form's questions, those inside completions among them; `all`: also those put away.
  rows(isAll = false) {
    const all = [...this.root.querySelectorAll("[data-row]")].filter((row) => !row.closest(isAll ? "[hidden]:not([data-away])" : "[hidden]"));
    return all.map((row, place) => [row, place]).sort(([a, p], [b, q]) => Number(a.dataset.at) - Number(b.dataset.at) || p - q).map(([row]) => row);
  }

  blockOf(row) {
    return row.closest("[data-block]") ?? this.root.querySelector(`[data-block="${CSS.escape(this.#blockName(row))}"]`) ?? row;
  }

  // A row inside a completion belongs to the block whose name begins its own.
  #blockName(row) {
    const names = [...this.root.querySelectorAll("[data-block]")].map((block) => block.dataset.block);
    return names.filter((name) => row.dataset.row === name || row.dataset.row.startsWith(`${name}.`)).sort((a, b) => b.length - a.length)[0] ?? "";
  }

  controller(row) { return this.attached.get(this.blockOf(row).dataset?.block); }

  outcome(row) { return this.blockOf(row).querySelector("[data-outcome] input:checked"); }

  // What is chosen at the cursor, before a key chooses anew.
  get stands() { return (this.current && (this.outcome(this.current) ?? this.current.querySelector("input[type=radio]:checked"))) || null; }

  answered(row) {
    if (this.outcome(row)) return true;
    const own = this.controller(row)?.answered?.(row);
    if (own !== undefined) return own;
    const select = row.querySelector("select");
    if (select) return select.value !== "";
    return [...this.root.querySelectorAll(`[data-group="${CSS.escape(row.dataset.group)}"]`)].some((one) => one.querySelector("input[type=radio]:checked"));
  }

  missing() { return this.rows().find((row) => "needed" in row.dataset && !this.answered(row)) ?? null; }

  get isComplete() { return !this.missing() && this.rows().some((row) => this.answered(row)); }

  // All that must be answered is said to be beyond judging.
  get isUnable() {
    const needed = this.rows().filter((row) => "needed" in row.dataset);
    return needed.length > 0 && needed.every((row) => this.outcome(row)?.value === "cannot_judge");
  }

  // --- the cursor ---

  mark(row, { focus = true, scroll = true } = {}) {
    if (!row) return;
    for (const other of this.root.querySelectorAll("[data-row].here, [data-block].here, .step.here")) other.classList.remove("here");
    this.current = row;
    row.classList.add("here");
    this.blockOf(row).classList.add("here");
    row.closest(".step")?.classList.add("here");
    for (const one of this.rows()) if (one.dataset.jump) one.classList.toggle("reached", this.#jump(one.dataset.jump) === one);
    for (const one of this.root.querySelectorAll("[data-outcome]")) one.classList.toggle("reached", this.#only(one.dataset.key) === one);
    if (focus) row.focus({ preventScroll: true });
    if (scroll) {
      this.#show(row);
      this.controller(row)?.shown?.(row);
    }
    this.#progress();
  }

  // A panel that scrolls by itself leaves the page where it is: text that is being read does not move.
  #show(row) {
    const panel = row.closest(".panel-in");
    if (!panel || getComputedStyle(panel).overflowY !== "auto") return (row.closest(".step") ?? row).scrollIntoView({ block: "nearest", behavior: "instant" });
    const box = row.getBoundingClientRect(), { top, bottom: end } = panel.getBoundingClientRect();
    // Where the page stands at its beginning the panel goes on behind the bar below.
    const bottom = Math.min(end, this.element?.getBoundingClientRect().top ?? end);
    if (box.top < top + 8) panel.scrollTop += box.top - top - 40;
    else if (box.bottom > bottom - 8) {
      panel.scrollTop += box.bottom - bottom + 24;
      if (row.getBoundingClientRect().bottom > bottom) row.scrollIntoView({ block: "nearest", behavior: "instant" });
    }
  }

  // Rows that are put away until somebody comes back to them (those of finished marks) are opened on the way.
  step(by) {
    const rows = this.rows(true), own = rows.indexOf(this.current);
    // Drawn anew it is another element of the same name; rows of one choice (the first bad step) share theirs.
    const at = own >= 0 ? own : rows.findIndex((row) => row.dataset.row === this.current?.dataset.row);
    const row = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    this.mark(this.controller(row)?.reveal?.(row) ?? row);
  }

  // To the next row without an answer; when none is left the cursor stays and the page says so.
  advance(options) {
    const rows = this.rows(), at = rows.indexOf(this.current);
    const next = rows.slice(at + 1).find((row) => !waits(row) && !this.answered(row)) ?? this.missing();
    if (next) return this.mark(next, options);
    if (rows.length > 1) this.on.say(this.on.holds?.(this) || t("All is answered. Enter submits."));
    this.#progress();
  }

  #progress() {
    const slot = this.root.querySelector("[data-progress]");
    if (!slot) return;
    const needed = this.rows().filter((row) => "needed" in row.dataset);
    const groups = new Map(needed.map((row) => [row.dataset.group, row]));
    if (this.isUnable) { slot.textContent = this.outcome(needed[0]).closest("label").dataset.word; return; }
    // What stands somewhere in a long text is said here.
    if (groups.size === 1 && needed.length > 1 && this.answered(needed[0])) { slot.textContent = this.word; return; }
    const done = [...groups.values()].filter((row) => this.answered(row)).length;
    slot.textContent = groups.size ? t("{done} of {all} answered", { done, all: groups.size }) : "";
  }

  // What each printed key answers: the question, the cap, the shipped key where a person may have changed it, the words.
  keys() {
    const rows = this.rows().flatMap((row) => [...row.querySelectorAll("label[data-key]")].map((label) => [row, label])).filter(([row, label]) => !this.#isLater(row, label));
    const beside = [...this.root.querySelectorAll("[data-block] :is([data-outcome], .chip)")].map((label) => [label, label]);
    const said = [...rows, ...beside].filter(([, label]) => label.dataset.key).map(([part, label]) => ({
      title: this.#questionOf(part),
      cap: this.#capOf(part, label),
      name: label.matches("[data-outcome]") ? label.dataset.key : null,
      word: label.dataset.word ?? label.querySelector("bdi").textContent,
    })).filter(({ cap, word }) => cap !== word || /\d/.test(cap)); // a letter that stands for its completion says nothing more
    const own = [...this.attached.values()].flatMap((one) => one.sheet?.() ?? []).map(({ row, ...line }) => ({ title: this.#questionOf(row), name: null, ...line }));
    return [...said, ...own];
  }

  #questionOf(part) {
    const block = this.blockOf(part);
    return block.querySelector(".block-title bdi")?.textContent ?? part.dataset.label ?? block.getAttribute("aria-label");
  }

  // Of numbered rows that share one answer the first stands for all.
  #isLater(row, label) { return label.dataset.key !== "0" && this.#sharing(row).indexOf(row) > 0; }

  #capOf(row, label) {
    const cap = label.dataset.key.split(" ").map((key) => key.toUpperCase()).join(" / ");
    const numbers = row.dataset.row ? this.#sharing(row).flatMap((one) => one.querySelector("label[data-key]")?.dataset.key ?? []).filter((key) => key !== "0") : [];
    return numbers.length > 1 && numbers[0] === cap ? `${cap} … ${numbers.at(-1)}` : cap;
  }

  // --- answering ---

  // Whether the key was taken: by the row at the cursor, its question, or a row that it leads to.
  pick(key) {
    if (!this.current) return false;
    if (this.controller(this.current)?.pick?.(key, this.current)) return true;
    if (this.#pickIn(this.current, key)) return true;
    const block = this.blockOf(this.current);
    const beside = [...block.querySelectorAll("[data-outcome], :not([hidden]) > .chips > .chip")].find((label) => label.dataset.key.split(" ").includes(key));
    if (beside ?? this.#only(key)) { this.#press(beside ?? this.#only(key)); return true; }
    const jump = this.#jump(key);
    if (!jump) return false;
    this.mark(jump);
    this.controller(jump)?.open?.(jump);
    return true;
  }

  // What a key says where one question alone offers it ("both bad"): wherever the cursor is. From a scale, where it may be
  // meant for that, it overwrites no answer.
  #only(key) {
    const labels = [...this.root.querySelectorAll("[data-block]:not([hidden]) [data-outcome]")].filter((label) => label.dataset.key.split(" ").includes(key));
    if (labels.length !== 1) return null;
    const block = this.blockOf(labels[0]), isElsewhere = this.current?.dataset.look === "scale" && this.blockOf(this.current) !== block;
    return isElsewhere && this.rows().some((row) => this.blockOf(row) === block && this.answered(row)) ? null : labels[0];
  }

  // The row that a key leads to: of several, that of the question at the cursor.
  #jump(key) {
    const rows = this.rows().filter((row) => row.dataset.jump === key), here = this.blockOf(this.current);
    return rows.find((row) => this.blockOf(row) === here) ?? rows[0];
  }

  #pickIn(row, key) {
    const select = row.querySelector("select");
    if (select && [...select.options].some((option) => option.value === key && key !== "")) {
      const isChange = this.answered(row);
      select.value = key;
      select.dispatchEvent(new Event("change", { bubbles: true }));
      this.#goOn(isChange);
      return true;
    }
    const labels = [row, ...this.#sharing(row)].flatMap((one) => [...one.querySelectorAll("label[data-key]:not(.chip, [data-outcome])")]);
    const answers = (typed) => labels.find((label) => label.dataset.key.split(" ").includes(typed));
    const both = Date.now() - this.typed.at < TOGETHER_MS ? this.typed.digits + key : key, digits = answers(both) ? both : key;
    const label = answers(digits);
    if (!label) return false;
    this.typed = { digits, at: Date.now() };
    // A number that may go on: its second digit is for the same question.
    const goesOn = labels.some(({ dataset }) => dataset.key.split(" ").some((one) => one !== digits && one.startsWith(digits)));
    if (!row.contains(label)) this.mark(label.closest("[data-row]"));
    this.#press(label, goesOn);
    return true;
  }

  // The rows that one answer settles together (the first bad step): a number answers at any of them.
  #sharing(row) { return [...this.root.querySelectorAll(`[data-group="${CSS.escape(row.dataset.group)}"]`)]; }

  #press(label, stays = false) {
    const input = label.querySelector("input"), isChange = this.answered(this.current);
    this.answeredLast = this.current;
    input.click();
    this.pressed = label;
    if (label.matches("[data-outcome]")) label.scrollIntoView({ block: "nearest", behavior: "instant" }); // it sets all of its question aside
    if (!stays && !label.matches(".chip") && input.checked && this.root.isConnected) this.#goOn(isChange && !label.matches("[data-outcome]"));
  }

  // A label for the step at the cursor and for all open ones after it. Whether there was one to give.
  pickRest(key) {
    const rows = this.rows().filter((row) => row.closest(".step") && this.#sharing(row).length === 1);
    const from = rows.indexOf(this.current), open = rows.slice(from + 1).filter((row) => !this.answered(row) && this.blockOf(row) === this.blockOf(this.current));
    const labels = [this.current, ...open].map((row) => row.querySelector(`label[data-key~="${CSS.escape(key)}"]`));
    if (from < 0 || !labels[0]) return false;
    for (const label of labels) label.querySelector("input").click();
    this.advance();
    return true;
  }

  #goOn(isChange) {
    const rows = this.rows(), next = rows.slice(rows.indexOf(this.current) + 1).find((row) => !waits(row));
    // Of rows that share one answer (the first bad step) none is the next.
    if (isChange && next && next.dataset.group !== this.current.dataset.group) this.mark(next);
    else this.advance();
  }

  // The label that a key has just pressed, once.
  takePressed() {
    const label = this.pressed;
    this.pressed = null;
    return label;
  }

  // Of the row at the cursor; where it is empty, of the one answered last, from which the cursor has gone on by itself.
  // `isWhole`: of a ranking all its rows.
  clear(isWhole = false) {
    if (!this.current) return;
    const block = this.blockOf(this.current);
    if (isWhole && block.querySelector("[data-look=place]")) {
      const rows = this.rows().filter((row) => this.blockOf(row) === block);
      for (const row of rows) this.#empty(row);
      return this.mark(rows[0]);
    }
    const isBegun = isEdit(this.current) && this.current.querySelector("input:checked");
    if (!isBegun && !this.answered(this.current) && this.answeredLast?.isConnected) this.mark(this.answeredLast);
    this.#empty(this.current);
  }

  #empty(row) {
    this.controller(row)?.clear?.(row);
    for (const one of new Set([row, ...this.#sharing(row)])) for (const input of one.querySelectorAll("input[type=radio]:checked")) input.checked = false;
    for (const select of row.querySelectorAll("select")) select.value = "";
    this.judged(this.blockOf(row));
    for (const one of this.attached.values()) if (one !== this.controller(row)) one.changedElsewhere?.();
    this.refresh();
    this.on.changed();
  }

  // What answers a question takes back that it cannot be judged.
  judged(block) { for (const input of block.querySelectorAll("[data-outcome] input:checked")) input.checked = false; }

  // The row of an element, also of a part that stands elsewhere on the page.
  #rowOf(target) {
    const away = target.closest("[data-row-of]");
    return away ? this.root.querySelector(`[data-row="${CSS.escape(away.dataset.rowOf)}"]`) : target.closest("[data-row]");
  }

  #changed(event) {
    const row = this.#rowOf(event.target);
    // One answers a question or says that it cannot be judged, not both.
    if (row && !event.target.closest("[data-outcome], .chip, .sentence")) {
      for (const input of this.blockOf(row).querySelectorAll("[data-outcome] input[type=checkbox]:checked")) input.checked = false;
    }
    if (event.target.type === "radio") this.#keepApart(event.target);
    const own = this.controller(row ?? this.current);
    own?.changed?.(row);
    for (const one of this.attached.values()) if (one !== own) one.changedElsewhere?.();
    this.refresh();
    const isByPointer = Date.now() - this.pointerAt < POINTER_MS;
    if (row && isByPointer && event.target.type === "radio" && !isEdit(row)) {
      this.mark(row, { focus: false, scroll: false });
      this.advance({ focus: false, scroll: false });
    }
    this.on.changed();
  }

  // The best is not the worst: the newer answer stands, and the other is asked again.
  #keepApart(input) {
    const block = input.closest("[data-block][data-type=listwise]");
    for (const other of block?.querySelectorAll("input[type=radio]:checked") ?? []) {
      if (other !== input && other.name !== input.name && other.value === input.value) other.checked = false;
    }
  }

  #focused(event) {
    const row = this.#rowOf(event.target);
    if (row && row !== this.current) this.mark(row, { focus: false, scroll: false });
  }

  // What the page repeats of the answers: the chosen word beside a row, what is still missing, why.
  refresh() {
    for (const row of this.root.querySelectorAll("[data-row]")) {
      row.classList.toggle("done", this.answered(row));
      row.classList.toggle("aside", Boolean(this.outcome(row)) || Boolean(this.controller(row)?.isAside?.()));
    }
    for (const block of this.root.querySelectorAll("[data-block]")) {
      const isOutcome = Boolean(block.querySelector("[data-outcome] input:checked"));
      block.classList.toggle("settled", isOutcome);
      block.classList.toggle("touched", isOutcome || Boolean(block.querySelector("input:checked, [data-row].done")));
    }
    this.element?.querySelector("button.primary")?.setAttribute("aria-disabled", String(!this.isComplete || Boolean(this.on.holds?.(this))));
    for (const reasons of this.root.querySelectorAll("[data-reasons]")) this.#why(reasons);
    this.#verdicts();
    this.#progress();
  }

  // Beside a completion's letter: that the one row of the dock prefers it.
  #verdicts() {
    const only = this.root.querySelector(".docked");
    if (!only) return;
    const pick = only.querySelector("input[type=radio]:checked");
    for (const side of this.root.querySelectorAll(".side")) {
      const isMine = Boolean(pick) && pick.dataset.side === side.dataset.side;
      side.classList.toggle("picked", isMine);
      side.querySelector("[data-verdict]").textContent = isMine ? pick.closest("label").dataset.word : "";
    }
  }

  // Reasons stand for one side, or for one thumb: they do not hold for the other.
  #why(reasons) {
    const scope = reasons.closest("[data-block]") ?? reasons.closest("[data-row]");
    const pick = scope.querySelector("input[type=radio]:checked"), side = pick?.dataset.side;
    const isThumb = scope.dataset.type === "binary" && scope.querySelectorAll("[data-row]").length === 1, of = side || (isThumb && pick?.value);
    if (of && reasons.dataset.of && of !== reasons.dataset.of) for (const chip of reasons.querySelectorAll(".chip input:checked")) chip.checked = false;
    if (of) reasons.dataset.of = of;
    reasons.hidden = this.#isBeyond(scope);
    reasons.querySelector("[data-why]").textContent = side ? t("Why is {side} better?", { side }) : t("Why?");
  }

  // Nobody gives reasons for an answer that they could not give.
  #isBeyond(scope) { return [...scope.querySelectorAll("[data-outcome] input:checked")].some((input) => input.value === "cannot_judge"); }

  // --- fields ---

  // What is sent, by field. Reasons survive a change of mind while hidden, but only visible ones are sent.
  fields() {
    const data = new FormData(this.element), fields = {};
    for (const [name, value] of data) {
      if (/\.(reasons|sentence)$/.test(name) && !this.#asked(name)) continue;
      fields[name] = name in fields ? `${fields[name]}\n${value}` : value;
    }
    for (const one of this.attached.values()) one.fields?.(fields);
    delete fields.csrfmiddlewaretoken;
    return fields;
  }

  #asked(name) {
    const input = this.root.querySelector(`[name="${CSS.escape(name)}"]`);
    const scope = input.closest("[data-block]") ?? input.closest("[data-row]");
    return !this.#isBeyond(scope) && (Boolean(scope.querySelector(".needs-why:checked")) || Boolean(input.closest(".always")));
  }

  // Put kept answers back; fields that the form does not have are left alone.
  fill(fields) {
    for (const [name, value] of Object.entries(fields)) {
      for (const input of this.root.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
        if (input.type === "radio") input.checked = input.value === value;
        else if (input.type === "checkbox") input.checked = String(value).split("\n").includes(input.value);
        else input.value = value;
      }
    }
    for (const one of this.attached.values()) one.filled?.();
    this.refresh();
    this.mark(this.missing() ?? this.rows()[0], { focus: false, scroll: false });
  }

  // One sentence about what is missing or would be refused, or nothing.
  complaint() {
    const row = this.missing();
    if (row) return t("Still to answer: {what}", { what: this.#titleOf(row) });
    if (!this.isComplete) return t("Nothing is answered yet.");
    return [...this.attached.values()].map((one) => one.complaint?.()).find(Boolean) ?? "";
  }

  // Of rows that share one answer none is what is missing, but their question, of its side.
  #titleOf(row) {
    if (this.#sharing(row).length < 2) return row.dataset.label.trim();
    const block = this.blockOf(row), side = this.root.querySelectorAll(".side").length > 1 && block.dataset.side;
    return side || (block.querySelector(".block-title bdi")?.textContent ?? block.getAttribute("aria-label")?.replace(/^[A-I]: /, "") ?? row.dataset.label.trim());
  }

  // What was answered, for "Saved: …": all of it, in the words of the list of answers; where those are long, without the
  // names of the rows.
  get word() {
    const blocks = new Map();
    for (const row of this.rows().filter((one) => this.answered(one))) blocks.set(this.blockOf(row), [...(blocks.get(this.blockOf(row)) ?? []), row]);
    const isAlone = this.root.querySelectorAll(".side").length < 2;
    const said = (isNamed) => [...blocks].map(([{ dataset }, rows]) => {
      const parts = this.#parts(rows, isNamed), isDigits = !isNamed && parts.every((part) => /^-?\d+$/.test(part));
      return parts.length && `${dataset.side && !isAlone ? `${dataset.side}: ` : ""}${parts.join(isDigits ? " " : ", ")}`;
    }).filter(Boolean).join("; ");
    const full = said(true), more = [...blocks.values()].filter((rows) => !this.#parts(rows, false).length).length;
    const words = full.length > MOST_SAID ? said(false) : full;
    return [words, more && (words ? tn("{n} more", "{n} more", more) : tn("{n} answer", "{n} answers", more))].filter(Boolean).join(", ");
  }

  // The words of a question's answered rows; none where they have no words (marks, sliders).
  #parts(rows, isNamed) {
    const outcome = this.outcome(rows[0]), own = !outcome && this.controller(rows[0])?.said?.();
    if (own) return [own];
    if (outcome?.value === "cannot_judge") return [outcome.closest("label").dataset.word];
    const chosen = rows.map((row) => [row, this.#choiceOf(row)]).filter(([, word]) => word);
    if (this.blockOf(rows[0]).dataset.type === "stepwise" && new Set(rows.map((row) => row.dataset.group)).size > 1) return this.#tally(chosen);
    return [...(outcome ? [outcome.closest("label").dataset.word] : []), ...chosen.map(([row, word]) => this.#named(row, word, isNamed))];
  }

  #choiceOf(row) { return row.querySelector("input[type=radio]:checked")?.closest("label:not([data-outcome])")?.dataset.word; }

  #named(row, word, isNamed) {
    const name = row.querySelector(".q-label b")?.textContent;
    if (row.dataset.look === "edit") return t("{side} repaired", { side: word });
    return name && (isNamed || row.dataset.group !== row.dataset.row) ? `${name}${/^-?\d+$/.test(word) ? "" : ":"} ${word}` : word;
  }

  // "21 right, 3 wrong (6, 23, 24)": of the label that most steps have, only how many.
  #tally(chosen) {
    const by = new Map();
    for (const [row, word] of chosen) by.set(word, [...(by.get(word) ?? []), row.querySelector(".q-label b").textContent.replace(/\D/g, "")]);
    const most = Math.max(...[...by.values()].map((steps) => steps.length)), first = [...by].find(([, steps]) => steps.length === most)[0];
    return [...by].map(([word, steps]) => `${steps.length} ${word}${word === first ? "" : ` (${steps.slice(0, MOST_STEPS).join(", ")}${steps.length > MOST_STEPS ? ", …" : ""})`}`);
  }
}
