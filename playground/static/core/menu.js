// Menus are <details class="menu">: a press outside, another focus and Escape close them.
const opened = () => document.querySelectorAll("details.menu[open]");

function closeOthers({ target }) {
  for (const menu of opened()) if (!menu.contains(target)) menu.open = false;
}

document.addEventListener("click", closeOthers);
document.addEventListener("focusin", closeOthers);
document.addEventListener("keydown", ({ key, target }) => {
  const menu = target.closest?.("details.menu[open]");
  if (key !== "Escape" || !menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
