"use strict";
// Tips: the <title> of a mark is shown beside the pointer at once, and by keyboard.
const tip = document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip", hidden: true }));
for (const title of document.querySelectorAll(".chart title")) {
  const mark = title.parentNode.closest("a") ?? title.parentNode;
  mark.dataset.tip = title.textContent;
  mark.setAttribute("aria-label", title.textContent);
  title.remove();
}
function show(mark) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const box = mark.getBoundingClientRect();
  const left = Math.min(box.right + 10, document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left) + scrollX}px`;
  tip.style.top = `${Math.max(8, box.top - tip.offsetHeight - 8) + scrollY}px`;
}
// Trials: the point, the line and the row of one light up together.
function light(element, on) {
  const key = element.closest("[data-key]")?.dataset.key;
  for (const same of key ? document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`) : []) same.classList.toggle("lit", on);
}
for (const [enter, leave] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(enter, ({ target }) => {
    const mark = target.closest("[data-tip]");
    if (mark) show(mark);
    light(target, true);
  });
  document.addEventListener(leave, ({ target }) => { tip.hidden = true; light(target, false); });
}
// Tables: a click on a heading sorts, a second one turns the order round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "descending" : "ascending");
    const value = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent.trim();
    const order = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b) * (up ? -1 : 1);
    const rows = [...body.rows].sort((a, b) => (value(a) === "") - (value(b) === "") || order(value(a), value(b)));
    body.append(...rows);
  });
}
