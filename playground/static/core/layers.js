// Puts Gradio's own style sheets into the lowest cascade layer (theme.py): outside of all layers
// they would win over the page's. Gradio's `css_paths` would win over them, but allows no nested
// rules and no layers.
{
  const lower = (sheet) => {
    if (!sheet.href?.includes("/assets/") || sheet.cssRules[0] instanceof CSSLayerBlockRule) return;
    const rules = [...sheet.cssRules].map(({ cssText }) => cssText).join("\n");
    while (sheet.cssRules.length) sheet.deleteRule(sheet.cssRules.length - 1);
    sheet.insertRule(`@layer gradio { ${rules} }`);
  };
  for (const sheet of document.styleSheets) lower(sheet);
  // Gradio loads a component with its sheet, and draws the component after this event.
  document.addEventListener("load", ({ target }) => target.sheet && lower(target.sheet), true);
}
