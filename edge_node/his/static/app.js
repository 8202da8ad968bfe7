// Comfort only: every page works without this file.
"use strict";

// With the 0.5 s for which the node shares a reading of its state, a change is on the screen well within 5 s.
const POLL_MS = 2000;
const PATIENCE_MS = 3000;
const LOST_AFTER = 2;
let asking = false;
let nextAsking = 0;
let unanswered = 0;

// The posture line is asked for again while the page is seen. Once the node does not answer, what it said last is not
// shown as if it were so now.
async function refreshPosture() {
  const line = document.getElementById("posture");
  if (asking || document.hidden || !line) return;
  asking = true;
  clearTimeout(nextAsking);
  try {
    const answer = await fetch(line.dataset.from, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    if (answer.headers.get("Edge-Desk") === "locked") leaveDesk();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("posture");
    if (!fresh) throw new Error("no line");
    unanswered = 0;
    showPosture(line, fresh);
  } catch {
    unanswered += 1;
    if (unanswered >= LOST_AFTER) {
      showPosture(line, document.getElementById("posture-lost").content.firstElementChild.cloneNode(true));
    }
  } finally {
    asking = false;
    nextAsking = setTimeout(refreshPosture, POLL_MS);
  }
}

// The screen of the waiting room: nobody stands there who could load it again. What it cannot ask for is not shown as if
// it were so now.
const live = document.getElementById("live");
let liveUnanswered = 0;

async function refreshLive() {
  try {
    const answer = await fetch(live.dataset.from, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (!fresh) throw new Error("no screen");
    liveUnanswered = 0;
    patch(live, fresh);
  } catch {
    liveUnanswered += 1;
  } finally {
    document.getElementById("live-lost").hidden = liveUnanswered < LOST_AFTER;
    setTimeout(refreshLive, live.dataset.every * 1000);
  }
}
if (live) setTimeout(refreshLive, live.dataset.every * 1000);

function showPosture(line, fresh) {
  const focused = line.contains(document.activeElement);
  document.body.classList.toggle("is-exercise", fresh.querySelector(".exerciseflag") !== null);
  patch(line, fresh);
  if (focused && !line.contains(document.activeElement)) line.querySelector(".posture__more")?.focus();
}

// Only what differs is changed: a screen reader reads changes aloud, and the focus stays where it is.
function patch(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
  } else {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const olds = [...old.childNodes];
    const freshs = [...fresh.childNodes];
    freshs.forEach((node, i) => {
      if (i < olds.length) patch(olds[i], node);
      else old.append(document.importNode(node, true));
    });
    for (const node of olds.slice(freshs.length)) node.remove();
  }
}
nextAsking = setTimeout(refreshPosture, POLL_MS);
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

// A desk that locked itself shows nobody's data any more. What was typed goes into the sign-in, which gives it back.
let typedIn = null;
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.method === "post" && document.getElementById("main").contains(form)) typedIn = form;
});
function leaveDesk() {
  if (!document.querySelector(".top__person")) return;
  const refused = document.querySelector("form[data-guard='typed']") ?? document.querySelector("main [aria-invalid]")?.form;
  const form = typedIn ?? refused;
  unsaved = false;
  if (!form || form.dataset.sent) return location.assign(location.href);
  form.dataset.sent = "yes";
  const mark = document.createElement("input");
  Object.assign(mark, { type: "hidden", name: "desk_locked", value: "yes" });
  form.append(mark);
  // Not by one of its buttons: nothing is to be done, only kept.
  HTMLFormElement.prototype.submit.call(form);
}

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

// A paper that was asked for goes to the printer at once; after a reload it waits to be asked.
if (document.querySelector("[data-print]") && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
  window.print();
}

// The summary of problems has the focus after a post (autofocus does not reach every element).
document.querySelector(".errors[autofocus]")?.focus();
