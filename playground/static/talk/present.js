// For talks: ?present makes the page readable from the last row, and ?hide=seed,pace hides controls.
// Set before anything is drawn. present.css knows the names that ?hide takes, and ignores others.
{
  const parameters = new URLSearchParams(location.search);
  const { dataset } = document.documentElement;
  if (parameters.has("present")) dataset.present = "";
  if (parameters.has("hide")) dataset.hide = parameters.get("hide").replaceAll(",", " ");
}
