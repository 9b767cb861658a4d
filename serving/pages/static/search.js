// Finds people while somebody types. Without it the form does the same with Enter.
"use strict";

const field = document.getElementById("q");
const people = document.getElementById("people");
let waiting = 0;
let running = null;

async function find() {
  running?.abort();
  running = new AbortController();
  try {
    const answer = await fetch("/people?q=" + encodeURIComponent(field.value), {
      signal: running.signal,
    });
    if (answer.ok) people.innerHTML = await answer.text(); // escaped by the server
  } catch (error) {
    if (error.name !== "AbortError") people.querySelector(".count").textContent = "No answer.";
  }
}

field.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(find, 120);
});

field.addEventListener("keydown", (event) => {
  const first = people.querySelector("a");
  if (event.key === "ArrowDown" && first) {
    event.preventDefault();
    first.focus();
  }
});

people.addEventListener("keydown", (event) => {
  const row = event.target.closest("li");
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!row || !step) return;
  event.preventDefault();
  (row[step]?.querySelector("a") ?? field).focus();
});
