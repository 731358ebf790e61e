// Fills the requests of the reference page with the values that form.js has stored for this tab, and sends a request from the
// page. The page works without this file.

const kept = (() => {
  try {
    return JSON.parse(sessionStorage.getItem(`row ${location.pathname.replace(/api\/$/, "")}`));
  } catch {
    return null;
  }
})();
const bodies = { curl: (text) => text.replaceAll("'", "'\\''"), javascript: (text) => text, python: (text) => text.replace(/("(?:[^"\\]|\\.)*")|\btrue\b|\bfalse\b|\bnull\b/g, (found, quoted) => quoted ?? { true: "True", false: "False", null: "None" }[found]) };
if (kept) for (const place of document.querySelectorAll("[data-mirror]")) place.textContent = bodies[place.dataset.mirror](JSON.stringify({ features: kept }));

const send = document.getElementById("send"), said = document.getElementById("sent");
send.hidden = false;
send.addEventListener("click", async () => {
  send.disabled = true;
  said.textContent = send.dataset.sent;
  try {
    const body = document.querySelector("[data-mirror='javascript']").textContent;
    const answer = await fetch(send.dataset.url, { method: "POST", headers: { "Content-Type": "application/json", Prefer: "wait=5" }, body });
    document.querySelector("#response code").textContent = JSON.stringify(await answer.json(), null, 2);
    said.textContent = `${send.dataset.status} ${answer.status} ${answer.statusText}`;
  } catch {
    said.textContent = send.dataset.failed;
  }
  send.disabled = false;
});
