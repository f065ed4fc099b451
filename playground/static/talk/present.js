// For talks: ?present makes the page readable from the last row, and ?hide=seed,pace hides controls.
// Set before anything is drawn; present.css defines these words, and ignores others.
{
  const parameters = new URLSearchParams(location.search);
  const { dataset } = document.documentElement;
  if (parameters.has("present")) dataset.present = "";
  if (parameters.has("hide")) dataset.hide = parameters.get("hide").replaceAll(",", " ");
}
