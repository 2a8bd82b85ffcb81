// The interface's words in the person's language: English is the key. Values stand in braces.

const element = document.querySelector("script[data-of=words]");
const said = element ? JSON.parse(element.textContent) : {};
const language = document.documentElement.lang || "en";
const rules = new Intl.PluralRules(language);
// The order of plural forms in a catalogue is that of these categories, of which each language has some.
const categories = ["zero", "one", "two", "few", "many", "other"].filter((one) => rules.resolvedOptions().pluralCategories.includes(one));

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export function t(text, values = {}) {
  return filled(said[text] || text, values);
}

export function tn(one, many, n, values = {}) {
  const forms = said[one];
  const text = Array.isArray(forms) ? forms[categories.indexOf(rules.select(n))] ?? forms.at(-1) : n === 1 ? one : many;
  return filled(text, { n, ...values });
}

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}
