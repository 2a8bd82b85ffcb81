// Repairing a completion: E opens the words of the preferred side in a field in its own column, Escape comes back to the
// keys, Ctrl+Enter submits, and below stands what changes. Each side keeps what was written on it for as long as the
// comparison stands, also while another is chosen or none; only the chosen side's text is sent. A text that nobody touched
// follows the preference; a written one stays, and the page says which completion it repairs.

import { sharedPairs, wordsIn } from "../differences.js";
import { make, t } from "../words.js";

const POINTER_MS = 800;
const NEAR = 6; // unchanged words that are shown on each side of a change

export function attach(block, data, form) {
  const row = block.querySelector("[data-look=edit]"), box = row.querySelector(".edit"), field = box.querySelector("textarea");
  const label = box.querySelector("label"), note = box.querySelector("[data-edit-note]"), preview = box.querySelector("[data-preview]");
  const radios = [...row.querySelectorAll("input[type=radio]")];
  // As a text field has them; otherwise a text with other line ends would count as changed.
  const sources = Object.fromEntries(Object.entries(data.sources).map(([side, text]) => [side, text.replace(/\r\n?/g, "\n")]));
  const texts = {};
  const source = () => radios.find((radio) => radio.checked)?.value;
  let shown, followed = preferred();
  box.dataset.rowOf = row.dataset.row;
  box.querySelector("[data-edit-foot]").hidden = false;
  if (/Mac|iPhone|iPad/.test(navigator.platform)) box.querySelector("[data-ctrl]").textContent = "⌘";
  box.querySelector("[data-edit-drop]").addEventListener("click", () => { drop(); form.mark(row); });
  for (const radio of radios) radio.addEventListener("click", () => {
    choose(radio.value);
    if (Date.now() - form.pointerAt < POINTER_MS) setTimeout(enter); // a click on a label still gives its radio the focus
  });
  field.addEventListener("input", () => { texts[shown] = field.value; draw(); form.refresh(); form.on.changed(); });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const isSubmit = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!isSubmit && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (!isSubmit) form.mark(row);
    else if (!event.repeat) form.element.requestSubmit();
  });

  // The side that the form's first preference names; null for a tie, for "both bad" and while nothing is chosen.
  function preferred() {
    const first = form.rows().find((one) => one !== row && (one.dataset.look === "place" || one.querySelector("input[data-side]:not([data-side=''])")));
    const side = first?.dataset.look === "place" ? firstPlace(form.blockOf(first)) : first?.querySelector("input:checked")?.dataset.side;
    return side in sources ? side : null;
  }

  function firstPlace(ranking) {
    const placed = [...ranking.querySelectorAll("[data-look=place] select")].filter((select) => select.value);
    const best = Math.min(...placed.map((select) => Number(select.value))), first = placed.filter((select) => Number(select.value) === best);
    return first.length === 1 ? first[0].name.split(".").at(-1) : undefined;
  }

  const isAside = () => Boolean(form.outcome(row)) || form.isUnable;

  // Why nothing is saved as a repair; empty where something is.
  function nothing() {
    if (isAside()) return t("Set aside: no repair is saved.");
    if (field.value.trim() === "") return t("Empty: no repair is saved.");
    if (field.value === sources[source()]) return t("Unchanged: no repair is saved.");
    const same = Object.keys(sources).find((side) => sources[side] === field.value);
    return same ? t("The same as {side}: no repair is saved.", { side: same }) : "";
  }
  // Why the server would not take it; characters are counted as it counts them.
  function complaint() {
    const length = field.value.length > data.most && isRepair() ? [...field.value].length : 0;
    const said = (n) => n.toLocaleString(document.documentElement.lang);
    return length > data.most ? t("A repair has at most {most} characters; this one has {length}.", { most: said(data.most), length: said(length) }) : "";
  }
  const isRepair = () => Boolean(source()) && nothing() === "";

  function follow() {
    const side = preferred(), moved = side !== followed;
    followed = side;
    if (moved && source() && side !== null && side !== source() && !isRepair() && !isAside()) choose(side);
    else draw();
  }

  function choose(side) {
    radios.find((radio) => radio.value === side).checked = true;
    const outcome = form.outcome(row);
    if (outcome) outcome.checked = false;
    turn();
  }

  function drop() {
    for (const radio of radios) radio.checked = false;
    turn();
    form.refresh();
    form.on.changed();
  }

  // The chosen side's text into the field.
  function turn() {
    const side = source();
    if (side && side !== shown) field.value = texts[side] ?? sources[side];
    shown = side;
    draw();
  }

  // The browser brings the caret into sight.
  function enter() {
    if (texts[shown] === undefined) field.setSelectionRange(0, 0); // reading begins there
    field.focus();
    form.refresh();
    form.on.changed();
  }

  function draw() {
    const side = source(), why = side ? nothing() : "";
    row.classList.toggle("open", Boolean(side));
    box.hidden = !side;
    box.classList.toggle("aside", isAside());
    if (!side) return;
    // In the completion's own column at every width: a field that is moved while somebody writes loses the focus.
    const header = form.root.querySelector(`#side-${side} > header`);
    if (header && header.nextElementSibling !== box) header.after(box);
    label.textContent = t("Repair of {side}", { side });
    const tooLong = complaint(), isOther = !why && preferred() !== null && preferred() !== side, words = why || tooLong || (isOther ? t("You prefer {side}, and this repairs {other}.", { side: preferred(), other: side }) : "");
    if (note.textContent !== words) note.textContent = words;
    note.classList.toggle("warn", isOther || tooLong !== "");
    preview.hidden = Boolean(why);
    if (!why) drawChanges();
    grow();
  }

  // As the style sheet has it, where the browser knows how.
  function grow() {
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    if (field.offsetParent) field.style.height = `${field.scrollHeight + 2}px`;
  }

  // Where there is no room for all of them, those beside the caret are in sight.
  function drawChanges() {
    const found = changes(sources[source()], field.value);
    if (!found) return preview.replaceChildren(t("Too long, or too different throughout, to show the differences."));
    const { parts, places } = found;
    preview.replaceChildren(make("b", { class: "small" }, `${t("What the repair changes")}:`), " ", ...(parts.length ? parts : [t("Only spaces or line breaks change.")]));
    const away = ({ start }) => Math.abs(start - field.selectionStart), near = places.sort((a, b) => away(a) - away(b))[0];
    if (near) preview.scrollTop = near.element.offsetTop - preview.clientHeight / 3;
  }

  shown = source();
  if (shown) texts[shown] = field.value;
  draw();
  return {
    pick(key, current) {
      const radio = radios.find((one) => one.closest("label").dataset.key === key);
      if (!radio || current !== row) return false;
      choose(radio.value);
      enter();
      return true;
    },
    // Without a preferred side it is the annotator who says which one.
    open() {
      const side = source() ?? preferred() ?? (radios.length === 1 ? radios[0].value : null);
      if (side === null) return form.on.say(t("Choose the completion to repair."));
      choose(side);
      enter();
    },
    answered: () => isRepair(),
    isAside,
    complaint,
    changed: draw,
    changedElsewhere: follow,
    clear: drop,
    filled() {
      [shown, followed] = [source(), preferred()];
      if (shown && field.value !== "") texts[shown] = field.value;
      else if (shown) field.value = texts[shown] ?? sources[shown];
      draw();
    },
    fields(fields) {
      if (isRepair()) return;
      delete fields[radios[0]?.name];
      delete fields[field.name];
    },
  };
}

// What goes and what comes, with the words around it; longer stretches that stay are left out. `places`: each change's
// element and where in the new text it stands. Null where there is too much of it.
function changes(before, after) {
  const a = wordsIn(before), b = wordsIn(after), pairs = sharedPairs(a, b), parts = [], places = [];
  if (!pairs) return null;
  const cut = (text, words, from, to) => (from < to ? text.slice(words[from].start, words[to - 1].end) : "");
  const stays = (start, end, from, to) => {
    if (to - from <= 2 * NEAR) return after.slice(start, end);
    const head = from > 0 || places.length ? after.slice(start, b[from + NEAR - 1].end) : "", tail = end < after.length || to < b.length ? after.slice(b[to - NEAR].start, end) : "";
    return `${head} … ${tail}`;
  };
  let i = 0, j = 0, last = 0, at = 0;
  for (const [x, y] of pairs.sort(([p], [q]) => p - q).concat([[a.length, b.length]])) {
    if (i < x || j < y) {
      const start = b[j]?.start ?? after.length, gone = cut(before, a, i, x), come = cut(after, b, j, y);
      const made = [gone && make("del", {}, gone), come && make("ins", {}, come)].filter(Boolean);
      parts.push(stays(at, start, last, j), made[0], ...(made[1] ? [" ", made[1]] : []), come ? "" : " ");
      places.push({ element: made.at(-1), start });
      [last, at] = [y, come ? b[y - 1].end : start];
    }
    [i, j] = [x + 1, y + 1];
  }
  if (places.length) parts.push(stays(at, after.length, last, b.length));
  return { parts, places };
}
