// Comfort only: every page works without this file.
"use strict";

const POLL_MS = 5000;

// The posture line is asked for again, and replaced only when it says something else: a screen reader reads it aloud.
async function refreshPosture() {
  const line = document.getElementById("posture");
  if (!line || document.hidden) return;
  try {
    const answer = await fetch(line.dataset.from, { headers: { "X-Requested-With": "fetch" }, cache: "no-store" });
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = parsed.getElementById("posture");
    if (!fresh || fresh.outerHTML === line.outerHTML || line.contains(document.activeElement)) return;
    document.body.classList.toggle("is-exercise", fresh.querySelector(".exerciseflag") !== null);
    line.replaceWith(document.adoptNode(fresh));
  } catch {
    // The node does not answer; the next page says so.
  }
}
setInterval(refreshPosture, POLL_MS);
document.addEventListener("visibilitychange", refreshPosture);

// A second click on the same button does not post twice (the server would know, but the person waits calmer).
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What was typed in a form marked data-guard is not left behind unasked; its own buttons keep it.
let unsaved = document.querySelector('form[data-guard="typed"]') !== null;
document.addEventListener("input", (event) => {
  if (event.target.form?.dataset.guard !== undefined) unsaved = true;
});
document.addEventListener("submit", (event) => {
  if (event.target.dataset.guard !== undefined) unsaved = false;
});
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

// Single keys act only while no field has the focus.
const typing = (element) => element.matches("input, select, textarea, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const at = document.activeElement ?? document.body;
  if (event.key === "Escape") {
    if (typing(at)) at.blur();
    return;
  }
  if (typing(at)) return;
  if (event.key === "/") {
    const field = document.querySelector("main .scan input") ?? document.getElementById("find");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  } else if (/^[1-9]$/.test(event.key)) {
    // Matches are numbered; their links carry data-key.
    document.querySelector(`[data-key="${event.key}"]`)?.click();
  } else if (event.key === "j" || event.key === "k") {
    moveInList(event.key === "j" ? 1 : -1);
  }
});

// J and K walk through the links of a list marked data-list.
function moveInList(step) {
  const links = [...document.querySelectorAll("[data-list] a[href]")];
  if (links.length === 0) return;
  const next = links.indexOf(document.activeElement) + step;
  links[Math.max(0, Math.min(links.length - 1, next))].focus();
}

// The summary of problems has the focus after a post (autofocus does not reach every element).
document.querySelector(".errors[autofocus]")?.focus();
