// Helps with the form: counts the filled values, marks each value in its usual range, fills in a pasted row, and keeps a draft.
// The form works without this file. The draft is in the session storage of the tab, so it is gone when the tab is closed.

const formOf = () => document.getElementById("prediction-form");
const texts = () => Object.fromEntries(controls(formOf()).map((one) => [one.name, one.value]));
const DRAFT = `draft ${location.pathname}`;

function readAs(control, text, mark = pageMark()) {
  if (!("number" in control.dataset)) return text;
  const { readings = [] } = readNumber(text, control.dataset.unit, mark);
  return readings.length === 1 ? readings[0] : null;
}

function showFilled() {
  const count = document.querySelector("[data-filled]");
  if (count) count.textContent = controls(formOf()).filter((one) => one.value.trim()).length;
}

// A value beyond the training range is marked at the end of the line.
function showMark(control) {
  const strip = control.closest(".field")?.querySelector(".strip"), mark = strip?.querySelector(".strip-mark");
  if (!mark) return;
  const low = Number(strip.dataset.low), high = Number(strip.dataset.high), value = control.value.trim() && readAs(control, control.value);
  mark.toggleAttribute("hidden", !value);
  if (value) mark.setAttribute("x", Math.min(Math.max(((Number(value) - low) / (high - low)) * 100, 0), 100) * 0.985);
}

function showAll() {
  if (!formOf()) return;
  controls(formOf()).forEach(showMark);
  showFilled();
  mirror();
  document.getElementById("paste").hidden = false;
}

// --- For programs: the same row as a request ----------------------------------------------------------------------------
const BODIES = {
  curl: (text) => text.replaceAll("'", "'\\''"),
  javascript: (text) => text,
  python: (text) => text.replace(/("(?:[^"\\]|\\.)*")|\btrue\b|\bfalse\b|\bnull\b/g, (found, quoted) => quoted ?? { true: "True", false: "False", null: "None" }[found]),
};

function typed(control) {
  const text = control.value.trim();
  if ("number" in control.dataset) return text ? Number(readAs(control, text) ?? NaN) : null;
  if ("json" in control.dataset) return text ? JSON.parse(text) : null;
  return control.value;
}

// Puts the values of the form into the requests for programs. While the form is empty, the requests hold an example.
function mirror() {
  const row = Object.fromEntries(controls(formOf()).map((one) => [one.name, typed(one)]));
  if (Object.values(row).every((value) => value === null || value === "")) return;
  const text = JSON.stringify({ features: row });
  for (const place of document.querySelectorAll("[data-mirror]")) place.textContent = BODIES[place.dataset.mirror](text);
  try {
    sessionStorage.setItem(`row ${location.pathname}`, JSON.stringify(row));
  } catch { /* the reference page shows an example instead */ }
}

// --- The draft --------------------------------------------------------------------------------------------------------------
function keepDraft() {
  try {
    const kept = texts();
    if (Object.values(kept).some((text) => text.trim())) sessionStorage.setItem(DRAFT, JSON.stringify(kept));
  } catch { /* storage is full or refused: the form works without it */ }
}

function draft() {
  try {
    return JSON.parse(sessionStorage.getItem(DRAFT));
  } catch {
    return null;
  }
}

// After a reload or Back the values are restored without a question; on a new visit a button offers to restore them.
function offerDraft() {
  const form = formOf(), kept = form && draft();
  if (!kept || controls(form).some((one) => one.value.trim())) return;
  const kind = performance.getEntriesByType("navigation")[0]?.type;
  if (kind === "reload" || kind === "back_forward") fill(form, kept);
  else document.getElementById("draft").hidden = false;
}

document.addEventListener("click", ({ target }) => {
  const choice = target.dataset?.draft;
  if (!choice) return;
  if (choice === "restore") fill(formOf(), draft() ?? {});
  else sessionStorage.removeItem(DRAFT);
  document.getElementById("draft").hidden = true;
  controls(formOf())[0].focus();
});

// --- A pasted row -----------------------------------------------------------------------------------------------------------
function cellsOf(line) {
  const mark = ["\t", ";", ","].find((one) => line.includes(one));
  const cells = mark ? line.split(mark) : line.trim().split(/\s+/);
  return cells.map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
}

const known = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

// Pairs of a field and a text: by the names in the first line if it has names, or else in the order of the model's columns.
function placed(text) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim()), fields = controls(formOf());
  if (!lines.length) return [];
  const head = cellsOf(lines[0]).map(known);
  const named = new Map(fields.flatMap((one) => [[known(one.name), one], [known(labelOf(one)), one]]));
  if (lines.length > 1 && head.some((name) => named.has(name)))
    return cellsOf(lines[1]).map((cell, place) => [named.get(head[place]), cell, head[place]]);
  const cells = lines.length > 1 && lines.every((line) => cellsOf(line).length === 1) ? lines.map((line) => line.trim()) : cellsOf(lines[0]);
  return cells.map((cell, place) => [fields[place], cell]);
}

const labelOf = (control) => control.closest(".field")?.querySelector(".field-label")?.firstChild?.textContent.trim() ?? control.name;

// The decimal mark of a pasted row. A row from another program may have the other mark: if a cell can be read only with that
// mark, and no cell contains the mark of the page, all cells are read with it.
function markOf(pairs) {
  const mark = pageMark(), other = mark === "." ? "," : ".";
  const cells = pairs.filter(([control]) => control && "number" in control.dataset).map(([, text]) => text);
  const isOther = (text) => text.includes(other) && (readNumber(text, "", mark).readings ?? []).length === 1 && /^[^.,]*[.,][^.,]*$/.test(text);
  return cells.some(isOther) && !cells.some((text) => text.includes(mark)) ? other : mark;
}

function isTaken(control, text, mark) {
  if (!control || !text) return false;
  if (control.options) return optionFor(control, text) !== undefined;
  return readAs(control, text, mark) !== null;
}

const isNumber = (control) => "number" in control.dataset;
const shownAs = (control, text, mark) => (isNumber(control) ? written(readAs(control, text, mark)) : text);
const inForm = (control, text, mark) => (isNumber(control) && mark !== pageMark() ? shownAs(control, text, mark) : text);

function preview() {
  const pairs = placed(document.getElementById("paste-text").value), mark = markOf(pairs), words = document.getElementById("paste").dataset;
  const taken = pairs.filter(([control, text]) => isTaken(control, text, mark)).map(([control, text]) => [control, inForm(control, text, mark)]);
  const table = document.createElement("table");
  table.className = "data";
  for (const [control, text, name] of pairs) {
    const row = table.insertRow();
    row.insertCell().textContent = control ? labelOf(control) : name ? words.unknown.replace("@name", name) : words.surplus;
    row.insertCell().textContent = text || words.empty;
    row.insertCell().textContent = !control || !text ? words.leftOut : isTaken(control, text, mark) ? shownAs(control, text, mark) : words.unreadable;
    row.classList.toggle("is-unread", Boolean(text) && !isTaken(control, text, mark));
  }
  const box = document.createElement("div");
  box.className = "paste-table";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", words.table);
  box.append(table);
  const said = document.createElement("p");
  said.textContent = words.counts.replace("@values", pairs.length).replace("@taken", taken.length).replace("@fields", controls(formOf()).length);
  document.getElementById("paste-preview").replaceChildren(...(pairs.length ? [said, box] : []));
  const button = document.getElementById("paste-fill");
  button.hidden = !taken.length;
  button.querySelector("[data-fields]").textContent = taken.length;
  return taken;
}

document.addEventListener("input", ({ target }) => {
  if (target.id === "paste-text") preview();
  if (!formOf()?.contains(target) || !("order" in target.dataset)) return;
  showMark(target);
  showFilled();
  keepDraft();
  mirror();
});
document.addEventListener("change", ({ target }) => { if ("order" in (target.dataset ?? {})) { showFilled(); keepDraft(); mirror(); } });
document.addEventListener("click", ({ target }) => {
  if (!target.closest("#paste-fill")) return;
  const taken = preview();
  for (const [control, text] of taken) put(control, text);
  document.getElementById("paste").open = false;
  document.getElementById("announcer").textContent = filledText(taken.length);
  formOf().querySelector("button[type='submit']").focus();
});
addEventListener("pageshow", () => { offerDraft(); showAll(); });
document.addEventListener("htmx:afterSettle", (event) => { if (event.target.id === "prediction-form") showAll(); });
