// Every page works without this file. It uses information that only the browser has: whether the tab is visible, whether
// there is a connection, where the focus was, and what was already announced to a screen reader.

const POLLING = "[hx-get][hx-trigger^='every']";
const ERRORS_IN_A_ROW = 8;
const LONGEST_BREAK_MS = 4000;
const errors = new Map(); // by the id of a polling element: the number of errors in a row, and the time until which it does not poll
const told = new Map();
const HIDDEN = ["csrfmiddlewaretoken", "idempotency_key"]; // fields of the form that are not values
let paused = false;
let focusWas = null;
const loadedAt = location.pathname + location.search;
const announce = (text) => { document.getElementById("announcer").textContent = text; };
const connection = (lost) => { document.getElementById("connection").hidden = !lost; };
const piece = (id) => document.getElementById(id).content.cloneNode(true);

// Shows an error in the form, or the state of the answer, in the title and the icon of the tab, so that a person who looks at
// another tab sees it.
function retitle() {
  const form = document.getElementById("prediction-form");
  const wrong = form?.querySelector("#error-summary");
  const title = wrong ? form.dataset.title : document.querySelector(".answer[data-title]")?.dataset.title;
  if (title) document.title = title;
  const state = document.querySelector(".answer[data-state]")?.dataset.state, icon = document.querySelector("link[rel='icon']");
  const wanted = state === "succeeded" ? icon.dataset.done : state ? icon.dataset.waiting : icon.dataset.usual;
  if (icon.getAttribute("href") !== wanted) icon.href = wanted;
}

// Times in the reader's own time zone and format; without a script they are in UTC. The format is that of the browser's
// locale for the language of the page: en-GB and en-US write a day differently.
function localTimes() {
  const { lang } = document.documentElement;
  const manner = navigator.languages.find((one) => one.split("-")[0] === lang) ?? lang;
  const write = new Intl.DateTimeFormat(manner, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of document.querySelectorAll("time[data-local]")) {
    time.title = time.textContent;
    time.textContent = write.format(new Date(time.dateTime));
    time.removeAttribute("data-local");
  }
}

// Buttons that only work with a script.
function showButtons() {
  for (const button of document.querySelectorAll("[data-copy], [data-copy-text], [data-print]")) button.hidden = !("print" in button.dataset) && !navigator.clipboard;
}
document.addEventListener("click", async ({ target }) => {
  if ("print" in target.dataset) print();
  const { copy, copyText } = target.dataset;
  if (copy === undefined && copyText === undefined) return;
  await navigator.clipboard.writeText(copyText ? document.getElementById(copyText).textContent : new URL(copy, location.href).href);
  target.textContent = target.dataset.done;
  announce(target.dataset.announce);
});

// Warns if the values in the form are not those of the answer beside it.
let asked = null, sent = null;
const valuesOf = (form) => JSON.stringify([...new FormData(form)].filter(([name]) => !HIDDEN.includes(name)));
function markStale() {
  const form = document.getElementById("prediction-form"), note = document.getElementById("answer-stale");
  if (!form || !note) return;
  const isStale = asked !== null && document.querySelector("#answer .answer[data-state]") !== null && valuesOf(form) !== asked;
  note.hidden = !isStale;
  document.getElementById("answer").classList.toggle("is-stale", isStale);
}

// Each poll replaces the status fragment, mostly without a change. A screen reader announces only a change of the state.
function tell(silently) {
  for (const answer of document.querySelectorAll(".answer[data-state]")) {
    const state = answer.dataset.state + ("capped" in answer.dataset ? " capped" : "");
    if (told.get(answer.id) !== state && !silently) announce(answer.dataset.announce);
    told.set(answer.id, state);
  }
}

// Poll at once, after any number of errors: the tab is visible again, or the connection is back.
function pollNow() {
  for (const element of document.querySelectorAll(POLLING)) {
    errors.delete(element.id);
    htmx.ajax("GET", element.getAttribute("hx-get"), { source: element, target: element, swap: "outerHTML" });
  }
}

// After errors htmx would poll for ever, as fast as before. This page makes its breaks longer, so that it finds a server that
// restarts. After ERRORS_IN_A_ROW errors it stops, and offers the person a link to go on.
function stopPolling(element) {
  const stopped = element.cloneNode(true);
  for (const name of ["hx-get", "hx-trigger", "aria-busy"]) stopped.removeAttribute(name);
  const next = stopped.querySelector(":scope > :is(.answer-actions, .answer-foot, .records, .empty)");
  stopped.insertBefore(piece("poll-stopped"), next);
  stopped.querySelector("[data-again]").href = element.dataset.url || location.href;
  element.replaceWith(stopped);
  htmx.process(stopped);
  errors.delete(element.id);
  connection(false); // hide the notice, which promises that the page goes on by itself
  announce(stopped.querySelector("[data-stopped] p").textContent);
}

function failed(event) {
  const element = event.detail.elt;
  const status = event.detail.xhr?.status || 0;
  if (!status) connection(true);
  if (element.matches(POLLING)) {
    const count = (errors.get(element.id)?.count ?? 0) + 1;
    errors.set(element.id, { count, until: performance.now() + Math.min(100 * 2 ** count, LONGEST_BREAK_MS) });
    if (count >= ERRORS_IN_A_ROW && navigator.onLine) stopPolling(element); // when offline, the `online` event polls again
  } else if (element.id === "prediction-form") {
    // On an error htmx leaves the page as it is. A person who pressed Predict must see why there is no answer.
    const reason = !status ? "unreachable" : status === 429 || status === 503 ? "busy" : "other";
    document.getElementById("answer").replaceChildren(piece(`failed-${reason}`));
    announce(document.querySelector("#answer .answer-headline").textContent);
    reveal();
  }
}
for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) document.addEventListener(name, failed);
document.addEventListener("htmx:beforeOnLoad", (event) => {
  connection(false);
  if (event.detail.xhr.status < 400) errors.delete(event.detail.elt.id);
});

// A hidden tab and a paused board do not poll.
document.addEventListener("htmx:beforeRequest", (event) => {
  const element = event.detail.elt;
  if (element.id === "prediction-form") sent = valuesOf(element);
  if (!element.matches(POLLING)) focusWas = element.closest(".answer")?.id; // the pressed button is about to be disabled
  else if (document.hidden || (paused && element.id === "feed")) event.preventDefault();
  else if (errors.get(element.id)?.until > performance.now()) event.preventDefault();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) pollNow(); });
addEventListener("offline", () => connection(true));
addEventListener("online", () => { connection(false); pollNow(); });

// The button Predict changes the URL of the page to that of the prediction. Back then shows the form that is still here, with
// its values. For any other URL the whole page is loaded from the server.
document.addEventListener("htmx:historyCacheMiss", (event) => {
  event.preventDefault();
  if (location.pathname + location.search !== loadedAt) location.reload();
});

// A page from the back/forward cache is as it was left: perhaps it waits for a response that will never arrive.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("form button:disabled")) button.disabled = false;
  pollNow();
});

// On a phone the answer is below the form, out of sight.
function reveal() {
  const answer = document.getElementById("answer"), { top } = answer.getBoundingClientRect();
  if (top < 0 || top > innerHeight * 0.6) answer.scrollIntoView();
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const answer = event.detail.target.closest?.(".answer");
  if (answer?.contains(document.activeElement)) focusWas = answer.id;
});
document.addEventListener("htmx:afterSwap", (event) => {
  tell();
  document.documentElement.classList.add("is-live"); // only answers that arrive from now on are animated
  // The waiting animation starts at the time of the page, so that it does not begin again in a fragment that replaces another.
  const moving = document.querySelector("[aria-busy='true'] svg");
  for (const animation of moving?.getAnimations({ subtree: true }) ?? []) animation.startTime = 0;
  if (event.detail.target.id === "answer") {
    document.getElementById("error-summary")?.remove(); // the server has accepted the form
    asked = sent;
    reveal();
    document.querySelector("#answer .answer")?.focus({ preventScroll: true });
  }
  retitle();
  showButtons();
  localTimes();
  markStale();
  if (event.detail.xhr.status === 422) document.getElementById("error-summary")?.focus();
  // The pressed button may be gone with the old fragment, so the focus moves to the new fragment.
  if (focusWas && document.activeElement === document.body) document.getElementById(focusWas)?.focus({ preventScroll: true });
  focusWas = null;
});

// The link of an example loads a form that the server has filled in. With a script it fills in the form on this page instead.
function fill(form, values) {
  for (const [name, value] of Object.entries(values)) {
    const input = form.elements.namedItem(name); // not form.elements[name]: a feature may be called "length"
    if (!input) continue;
    input.value = value;
    for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
  }
}
document.addEventListener("click", (event) => {
  const example = event.target.closest("a[data-values]");
  const form = document.getElementById("prediction-form");
  if (!example || !form || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  fill(form, JSON.parse(example.dataset.values));
  for (const chip of document.querySelectorAll("a[data-values]")) chip.ariaCurrent = String(chip === example);
  announce(example.dataset.announce);
});

for (const kind of ["input", "change"]) document.addEventListener(kind, markStale);
// The error message of a field is removed when its value changes, because it is about the old value.
document.addEventListener("input", (event) => {
  const field = event.target.closest(".field-wrong");
  field?.classList.remove("field-wrong");
  field?.querySelector(".field-error")?.remove();
  field?.querySelectorAll("[aria-invalid]").forEach((input) => input.removeAttribute("aria-invalid"));
});

// WCAG 2.2.2: content that updates by itself can be paused.
const pause = document.querySelector("[data-pause]");
pause?.removeAttribute("hidden");
pause?.addEventListener("click", () => {
  paused = pause.getAttribute("aria-pressed") === "false";
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) pollNow();
});

tell(true);
retitle();
showButtons();
localTimes();
