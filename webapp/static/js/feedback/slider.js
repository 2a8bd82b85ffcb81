// A slider without a number and without a default: until it is touched it has no handle and is no answer. The number field
// under it holds the value and works alone.

import { make, t } from "../words.js";

export function attach(block, data, form) {
  const sliders = new Map();
  for (const row of block.querySelectorAll("[data-look=slider]")) {
    const field = row.querySelector("input[type=number]"), low = Number(field.min), high = Number(field.max);
    const range = make("input", { type: "range", min: low, max: high, class: "unset", "aria-label": row.dataset.label.trim() });
    field.type = "hidden";
    field.after(range);
    const show = () => {
      range.classList.toggle("unset", field.value === "");
      range.value = field.value === "" ? String(low) : field.value;
      range.setAttribute("aria-valuetext", field.value === "" ? t("not set") : field.value);
    };
    const set = (value) => {
      field.value = String(Math.max(low, Math.min(high, Math.round(value))));
      show();
      field.dispatchEvent(new Event("change", { bubbles: true }));
    };
    range.addEventListener("input", () => set(Number(range.value)));
    range.addEventListener("pointerdown", () => queueMicrotask(() => set(Number(range.value))));
    range.addEventListener("change", (event) => event.stopPropagation());
    sliders.set(row, { field, low, high, show, set });
    show();
  }
  return {
    answered: (row) => (sliders.has(row) ? sliders.get(row).field.value !== "" : undefined),
    key(event, row) {
      const slider = sliders.get(row), by = { ArrowLeft: -1, ArrowRight: 1 }[event.key]; // up and down scroll
      if (!slider || !by) return false;
      event.preventDefault();
      const { field, low, high } = slider, large = Math.max(1, Math.round((high - low) / 10));
      const at = field.value === "" ? Math.round((low + high) / 2) - by : Number(field.value);
      slider.set(at + by * (event.shiftKey ? large : 1));
      return true;
    },
    // Digits are tenths of the way; 5 is the middle.
    pick(key, row) {
      const slider = sliders.get(row);
      if (!slider || !/^[0-9]$/.test(key)) return false;
      slider.set(slider.low + ((slider.high - slider.low) * Number(key)) / 10);
      form.advance();
      return true;
    },
    clear(row) { const slider = sliders.get(row); if (slider) { slider.field.value = ""; slider.show(); } },
    filled() { for (const slider of sliders.values()) slider.show(); },
  };
}
