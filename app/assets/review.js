// The review of a definition by keyboard, with what is wrong shown while it is written. Without it the page works too.
"use strict";
{
  const parts = [...document.querySelectorAll(".part[data-part]")];
  const links = [...document.querySelectorAll(".source a[data-parts]")];
  const source = document.querySelector(".source");
  const partOf = (node) => node.closest(".part[data-part]");

  // -- the text beside the part that is looked at

  function light(part) {
    const name = part.dataset.part;
    let first = null;
    for (const link of links) {
      const is = link.dataset.parts.split(" ").includes(name);
      link.classList.toggle("lit", is);
      first = first ?? (is ? link : null);
    }
    if (first) {
      const box = first.getBoundingClientRect(), frame = source.getBoundingClientRect();
      if (box.top < frame.top || box.bottom > frame.bottom) {
        source.scrollTop += box.top - frame.top - frame.height / 3;
      }
    }
  }

  document.addEventListener("focusin", (event) => { const part = partOf(event.target); if (part) light(part); });
  document.addEventListener("pointerover", (event) => { const part = partOf(event.target); if (part) light(part); });

  function toTarget() {
    const name = decodeURIComponent(location.hash.slice(1));
    const there = name ? document.getElementById(name) : null;
    if (there) there.focus();
  }
  window.addEventListener("hashchange", toTarget);

  // -- keys, while a part has the focus

  function step(part, by, wanted = () => true) {
    for (let at = parts.indexOf(part) + by; at >= 0 && at < parts.length; at += by) {
      if (wanted(parts[at])) return parts[at].focus();
    }
  }

  const button = (part, act) => part.querySelector(`button[value="${act}"]`)?.focus();

  function edit(part) {
    const editor = part.querySelector(".editor");
    if (!editor) return;
    editor.open = true;
    editor.querySelector("textarea").focus();
  }

  const KEYS = {
    j: (part) => step(part, 1),
    k: (part) => step(part, -1),
    n: (part) => step(part, 1, (each) => !each.classList.contains("signed")),
    e: edit,
    a: (part) => button(part, "accept"),
    p: (part) => button(part, "person"),
    s: (part) => button(part, "split"),
    x: (part) => button(part, "remove"),
    m: (part) => part.querySelector('select[name="other"]')?.focus(),
  };

  document.addEventListener("keydown", (event) => {
    const part = partOf(event.target);
    if (!part) return;
    if (event.target.matches("textarea")) return write(event, part);
    if (event.key === "Escape") return part.focus();
    if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key];
    if (act) {
      event.preventDefault();
      act(part);
    }
  });

  function write(event, part) {
    if (event.key === "Escape") {
      part.querySelector(".editor").open = false;
      part.focus();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      part.querySelector("form").requestSubmit(part.querySelector('button[value="correct"]'));
    }
  }

  // -- what is wrong with a part while it is written

  const waiting = new Map();
  document.addEventListener("input", (event) => {
    if (!event.target.matches(".editor textarea")) return;
    const part = partOf(event.target);
    clearTimeout(waiting.get(part));
    waiting.set(part, setTimeout(() => check(part, event.target), 400));
  });

  async function check(part, area) {
    const written = area.value;
    const form = new URLSearchParams({ part: part.dataset.part, text: written });
    const place = part.querySelector(".checked");
    let lines;
    try {
      const answer = await fetch(part.querySelector("form").action.replace(/parts$/, "check"), { method: "POST", body: form });
      if (!answer.ok) throw new Error(answer.status);
      const said = await answer.json();
      lines = said.problems.length
        ? said.problems.map((text) => ["bad", text])
        : [...said.asks.map((text) => ["good", text]), ...said.cases.map((text) => ["", text])];
    } catch {
      lines = [["bad", "It cannot be checked just now; saving checks it too."]];
    }
    if (area.value !== written) return;
    place.replaceChildren(...lines.map(([tone, text]) => {
      const line = document.createElement("p");
      line.className = tone;
      line.textContent = text;
      return line;
    }));
  }

  const refused = document.getElementById("refused");
  if (refused) refused.focus();
  else toTarget();
}
