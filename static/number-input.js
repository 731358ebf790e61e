// Reads numbers by the rules of predictions/web/number_input.py, to show how a text will be read while it is typed, to ask
// which of two readings is meant, and to offer to fill the form from a pasted row. The server has the last word.

const SEPARATORS = /[\t\r\n;]/;
const STANDARD = [[/\p{Cf}/gu, ""], [/[\u2010-\u2013\u2212\ufe63]/g, "-"], [/[\u2019\u02bc\u00b4`]/g, "'"]];
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const PARTS = /^([+-]?) ?([0-9][0-9.,' ]*|[.,][0-9]+)(?:[eE]([+-]?[0-9]+)| ?[x×*·⋅] ?10(?:\^([+-]?[0-9]+)|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)))?$/;
const ONE_OF_SEVERAL = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/;
// The decimal mark of the page's language. If it occurs once, it is read as a decimal mark. The other mark, if it occurs once,
// may also separate groups of digits.
const pageMark = () => document.getElementById("prediction-form")?.dataset.decimal ?? ".";
const written = (number, mark = pageMark()) => number.replace(".", mark);
const GROUPS = { // by separator, then by the page's decimal mark: if both are the same, one group alone does not match
  ",": { ".": /^[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?$/, ",": /^[1-9][0-9]{0,2}(,[0-9]{3})((,[0-9]{3})+(\.[0-9]*)?|\.[0-9]*)$/ },
  ".": { ",": /^[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]*)?$/, ".": /^[1-9][0-9]{0,2}(\.[0-9]{3})((\.[0-9]{3})+(,[0-9]*)?|,[0-9]*)$/ },
};
const readingsFor = (mark) => [
  [GROUPS[","][mark], (text) => text.replaceAll(",", "")],
  [/^([0-9]+\.?[0-9]*|\.[0-9]+)$/, (text) => text],
  [/^([0-9]+,[0-9]*|,[0-9]+)$/, (text) => text.replace(",", ".")],
  [/^[1-9][0-9]{0,2}([ '])[0-9]{3}(\1[0-9]{3})*([.,][0-9]*)?$/, (text) => text.replace(/[ ']/g, "").replace(",", ".")],
  [GROUPS["."][mark], (text) => text.replaceAll(".", "").replace(",", ".")],
];

const folded = (text) => text.normalize("NFKC").toLowerCase().replace(/\s/g, "");
const fullWidth = (text) => text.replace(/[\uff01-\uff5e]/g, (one) => String.fromCharCode(one.charCodeAt(0) - 0xfee0));

function withoutUnit(text, unit) {
  const wanted = folded(unit);
  if (!/[^0-9]/.test(wanted)) return text;
  for (let cut = 1; cut < Math.min(text.length, 400); cut += 1) {
    const head = text.slice(0, cut), tail = text.slice(cut);
    if (folded(tail) === wanted && (!/^[0-9]/.test(wanted) || /\s$/.test(head))) return head;
    if (folded(head) === wanted && !/[0-9]$/.test(wanted)) return tail;
  }
  return text;
}

// Returns { readings: ["12.5"] }, with two readings if the text is ambiguous; { cells: […] } for several values; or else {}.
function readNumber(text, unit = "", mark = pageMark()) {
  const tidy = fullWidth(STANDARD.reduce((done, [from, to]) => done.replace(from, to), text)).trim();
  if (SEPARATORS.test(tidy)) return { cells: tidy.split(SEPARATORS).map((cell) => cell.trim()) };
  const bare = withoutUnit(tidy, unit).trim().replace(/\s/g, " ");
  const parts = bare.length <= 400 ? PARTS.exec(bare) : null;
  const mantissa = parts?.[2].replace(/ +$/, "") ?? "";
  const readings = readingsFor(mark).filter(([form]) => form.test(mantissa)).map(([, plain]) => plain(mantissa));
  if (readings.length) {
    const raised = parts[5]?.replace(/./g, (one) => ({ "⁺": "+", "⁻": "-" })[one] ?? SUPERSCRIPTS.indexOf(one));
    const exponent = parts[3] || parts[4] || raised;
    const numbers = readings.map((reading) => (parts[1] === "-" ? "-" : "") + reading + (exponent ? `e${exponent}` : ""));
    const size = Number(numbers[0]);
    return Number.isFinite(size) && (size !== 0 || !/[1-9]/.test(readings[0])) ? { readings: numbers } : {};
  }
  const cells = bare.split(/[\s,]+/).filter(Boolean);
  return cells.length > 1 && cells.every((cell) => ONE_OF_SEVERAL.test(cell)) ? { cells } : {};
}

// --- Notes beside a field: its reading, a question, an offer ---------------------------------------------------------------
const numberField = (element) => element.closest?.("#prediction-form")?.contains(element) && element.matches("input[data-number]");
// The fields in the order of the model's columns, which is the order of a pasted row.
const controls = (form) => [...form.elements].filter((one) => "order" in one.dataset).sort((one, other) => one.dataset.order - other.dataset.order);
const note = (id) => document.getElementById(id).content.cloneNode(true);

function echoOf(input) {
  const notes = input.closest(".field").querySelector(".field-notes");
  const found = notes.querySelector(".field-echo") ?? notes.insertAdjacentElement("afterbegin", document.createElement("div"));
  found.className = "field-echo";
  found.setAttribute("role", "status");
  return found;
}

function showReading(input) {
  const text = input.value.trim();
  const { readings = [], cells = [] } = text ? readNumber(text, input.dataset.unit) : {};
  const shown = document.createDocumentFragment();
  if (readings.length > 1) shown.append(question(readings));
  else if (cells.length > 1) shown.append(offer(input, cells));
  else if (readings.length && written(readings[0]) !== text) {
    const read = note("echo-read");
    read.querySelector("[data-value]").textContent = written(readings[0]);
    shown.append(read);
  }
  echoOf(input).replaceChildren(shown);
}

function question(readings) {
  const asked = note("echo-question");
  asked.querySelectorAll("button").forEach((button, place) => { button.textContent = button.dataset.value = written(readings[place]); });
  return asked;
}

function offer(input, cells) {
  const room = controls(input.form).length - controls(input.form).indexOf(input);
  const offered = note("echo-row");
  offered.querySelector("[data-count]").textContent = cells.length;
  offered.querySelector("[data-fields]").textContent = Math.min(cells.length, room);
  if (cells.length <= room) offered.querySelector("[data-too-many]").remove();
  return offered;
}

// The one option with this value, or else with this label, or else with either of them in other capitals or spaces.
function optionFor(control, cell) {
  const wanted = cell.trim().toLowerCase();
  const tries = [
    (one) => one.value === cell,
    (one) => one.text === cell,
    (one) => [one.value, one.text].some((said) => said.trim().toLowerCase() === wanted),
  ];
  return tries.map((fits) => [...control.options].filter(fits)).find((found) => found.length === 1)?.[0];
}

function put(control, cell) {
  if (!control.options) control.value = cell;
  else if (cell) control.value = optionFor(control, cell)?.value ?? "";
  for (const kind of ["input", "change"]) control.dispatchEvent(new Event(kind, { bubbles: true }));
}

const filledText = (count) => document.getElementById("prediction-form").dataset.told.replace("@count", count);

function fillRow(input) {
  const all = controls(input.form), first = all.indexOf(input);
  const { cells = [] } = readNumber(input.value, input.dataset.unit);
  const filled = cells.slice(0, all.length - first);
  filled.forEach((cell, place) => put(all[first + place], cell));
  const last = all[first + filled.length - 1];
  last.focus();
  document.getElementById("announcer").textContent = filledText(filled.length);
}

document.addEventListener("input", ({ target }) => { if (numberField(target)) showReading(target); });
document.addEventListener("click", ({ target }) => {
  const input = target.closest(".field-echo")?.closest(".field").querySelector("input[data-number]");
  if (!input || target.type !== "button") return;
  if (target.dataset.value) put(input, target.dataset.value);
  else fillRow(input);
  if (target.dataset.value) input.focus();
});
// A browser joins pasted lines in a one-line field, so the values would run into each other. Tabs keep them apart.
document.addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text").trim() ?? "";
  if (!numberField(event.target) || !/[\r\n]/.test(text)) return;
  event.preventDefault();
  event.target.setRangeText(text.replace(/\r?\n|\r/g, "\t"), event.target.selectionStart, event.target.selectionEnd, "end");
  event.target.dispatchEvent(new Event("input", { bubbles: true }));
});
function showReadings() {
  for (const input of document.querySelectorAll("#prediction-form input[data-number]")) if (input.value) showReading(input);
}
addEventListener("pageshow", showReadings); // for values that the browser has restored
document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "prediction-form") showReadings(); });
