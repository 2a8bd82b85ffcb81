// Writing the better completion: E opens a field that begins with the words of the better side, Escape comes back to the
// keys, and below stands what would change. Where the form stands beside the completions, the field stands in its own, as
// wide as what it repairs; it grows with its text. Where the preference moves afterwards, words that nobody touched follow
// it; written ones stay, and the page says which completion they repair.

import { sharedPairs, wordsIn } from "../differences.js";
import { make, t } from "../words.js";

export function attach(block, data, form) {
  const row = block.querySelector("[data-look=edit]"), field = row.querySelector("textarea"), preview = row.querySelector("[data-preview]");
  const other = row.querySelector("[data-edit-other]");
  const radios = [...row.querySelectorAll("input[type=radio]")];
  const source = () => radios.find((radio) => radio.checked)?.value;
  const box = row.querySelector(".edit"), isWide = matchMedia("(min-width: 961px)");
  const isChanged = () => Boolean(source()) && field.value.trim() !== "" && field.value !== data.sources[source()];
  let begun = source() ?? "";
  box.dataset.rowOf = row.dataset.row;
  row.querySelector("[data-edit-tools]").hidden = false;
  row.querySelector("[data-edit-drop]").addEventListener("click", () => { drop(); form.mark(row); });
  field.addEventListener("input", () => { if (!source()) choose(better()); show(); form.refresh(); form.on.changed(); });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    form.mark(row);
  });

  // The side that the other answers of this form prefer, if one can be edited. The worst of a best-worst set is a side too.
  function preferred() {
    const docked = document.querySelector(".side.picked")?.dataset.side;
    const picked = [...document.querySelectorAll("[data-row] input[type=radio]:checked")].filter((radio) => !row.contains(radio) && !radio.name.endsWith(".worst")).map((radio) => radio.dataset.side);
    return [docked, ...picked].find((side) => side in data.sources) ?? null;
  }
  const better = () => preferred() ?? Object.keys(data.sources)[0];
  let followed = preferred();

  // Whether it repairs another completion than the one that is preferred now; that is allowed, and may be an oversight.
  function compare() {
    const side = preferred(), isOther = isChanged() && side !== null && side !== source();
    other.hidden = !isOther;
    other.textContent = isOther ? t("You prefer {side}, and this repairs {other}.", { side, other: source() }) : "";
  }

  function follow() {
    const side = preferred(), moved = side !== followed;
    followed = side;
    if (moved && source() && side !== null && side !== source() && !isChanged()) choose(side);
    compare();
  }

  function choose(side) {
    const radio = radios.find((one) => one.value === side);
    if (radio) radio.checked = true;
    begin();
  }

  // A change of source replaces words that nobody touched, and none that somebody wrote.
  function begin() {
    if (!source()) return;
    if (field.value.trim() === "" || field.value === data.sources[begun]) field.value = data.sources[source()];
    begun = source();
    show();
  }

  function drop() {
    for (const radio of radios) radio.checked = false;
    field.value = "";
    begun = "";
    show();
    form.refresh();
    form.on.changed();
  }

  // A field that is moved loses the focus, so only when its place changes.
  function put() {
    const header = isWide.matches && row.closest(".panel-form") && source() ? document.querySelector(`#side-${source()} > header`) : null;
    const place = header?.parentElement ?? row;
    if (box.parentElement === place) return;
    if (header) header.after(box);
    else row.append(box);
  }

  // As the style sheet has it, where the browser knows how.
  function grow() {
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    if (field.offsetParent) field.style.height = `${field.scrollHeight + 2}px`;
  }

  function show() {
    row.classList.toggle("open", Boolean(source()));
    box.hidden = !source();
    put();
    grow();
    compare();
    preview.hidden = !isChanged();
    if (preview.hidden) return;
    const a = wordsIn(data.sources[source()]), b = wordsIn(field.value), pairs = sharedPairs(a, b), parts = [];
    let i = 0, j = 0;
    const rest = (words, from, to, text) => (from < to ? text.slice(words[from].start, words[to - 1].end) : "");
    for (const [x, y] of [...pairs].sort(([p], [q]) => p - q).concat([[a.length, b.length]])) {
      const gone = rest(a, i, x, data.sources[source()]), come = rest(b, j, y, field.value);
      if (gone) parts.push(make("del", {}, gone), " ");
      if (come) parts.push(make("ins", {}, come), " ");
      if (y < b.length) parts.push(field.value.slice(b[y].start, b[y + 1]?.start ?? field.value.length));
      [i, j] = [x + 1, y + 1];
    }
    preview.replaceChildren(make("b", { class: "small" }, `${t("What changes")}:\n`), ...parts);
  }

  show();
  return {
    pick(key, current) {
      const radio = radios.find((one) => one.closest("label").dataset.key === key);
      if (!radio || current !== row) return false;
      choose(radio.value);
      this.open();
      return true;
    },
    open() {
      const isNew = !isChanged();
      if (!source()) choose(better());
      field.focus({ preventScroll: true });
      if (isNew) field.setSelectionRange(0, 0); // reading begins there
      box.scrollIntoView({ block: "nearest" });
      form.refresh();
    },
    answered: () => isChanged(),
    changed: begin,
    changedElsewhere: follow,
    clear: drop,
    filled() { followed = preferred(); begun = source() ?? ""; if (source() && field.value === "") begin(); show(); },
    // A text that was opened and not changed is no answer.
    fields(fields) {
      if (isChanged()) return;
      delete fields[radios[0]?.name];
      delete fields[field.name];
    },
  };
}
