// Sorts the table of files by the heading that was chosen; choosing it again turns the order around.
const table = document.getElementById("files");
const body = table.tBodies[0];
for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
  heading.querySelector("button").addEventListener("click", () => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = (row) => (column === 0 ? row.cells[0].textContent : Number(row.cells[column].dataset.key));
    const order = (a, b) => (column === 0 ? key(a).localeCompare(key(b)) : key(a) - key(b));
    const rows = [...body.rows].sort((a, b) => (ascending ? order(a, b) : order(b, a)));
    body.append(...rows);
  });
}
