// Sorts a table by the heading that was chosen; choosing it again turns the order around.
for (const table of document.querySelectorAll("table.files")) {
  const headings = table.tHead.rows[0].cells;
  for (const [column, heading] of [...headings].entries()) {
    heading.querySelector("button").addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const cell of headings) cell.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => (column === 0 ? row.cells[0].textContent : Number(row.cells[column].dataset.key));
      const order = (a, b) => (column === 0 ? key(a).localeCompare(key(b)) : key(a) - key(b));
      const rows = [...table.tBodies[0].rows].sort((a, b) => (ascending ? order(a, b) : order(b, a)));
      table.tBodies[0].append(...rows);
    });
  }
}
// What is wider than the window can be scrolled by keyboard too.
for (const area of document.querySelectorAll(".scroll")) if (area.scrollWidth > area.clientWidth) area.tabIndex = 0;
