// For talks: ?present makes the page readable from the last row, ?hide=seed,pace leaves controls
// away. Set before anything is drawn; present.css knows what the words mean, and no others.
{
  const parameters = new URLSearchParams(location.search);
  const { dataset } = document.documentElement;
  if (parameters.has("present")) dataset.present = "";
  if (parameters.has("hide")) dataset.hide = parameters.get("hide").replaceAll(",", " ");
}
