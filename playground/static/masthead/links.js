// The head of the page: its language, the same page in the others, and a link to the present
// settings. links.py reads the address that is written here.
import { copyText } from "../core/copy.js";
import { make, within } from "../core/dom.js";
import { linkedTo, openView, viewOf, writeAddress, writePlace } from "../core/place.js";
import { set } from "../core/store.js";
import { keepMenu } from "./keep.js";

// On a Space, the surrounding page adds these to the address: its signature and its colours.
const OF_THE_FRAME = ["__sign", "__theme"];

export function mount({ element, props, watch, events }) {
  const { words, others, fields, views } = props;
  const { find, put } = within(element);
  const link = find("input");
  let linked = null; // [url, next] of `withSettings`, until the settings are known
  let saying = null; // the timer after which the button has its own label again

  // This page's address, without the query's language, because the path has it.
  function address() {
    const url = new URL(location.href);
    url.searchParams.delete("lang");
    return url;
  }

  // The address of this page in another language (chosen_language.py).
  function inLanguage(language) {
    const url = new URL(".", document.baseURI);
    url.search = location.search;
    url.searchParams.set("lang", language);
    return url;
  }

  // Calls `next` with `url`, to which the settings are added. Gradio answers this event by setting this
  // part's value to the values of the controls (app.py).
  function withSettings(url, next) {
    linked = [url, next];
    events.submit();
  }

  watch("value", () => {
    const { settings } = props.value;
    const [url, next] = linked;
    for (const [field, methods] of Object.entries(fields)) {
      if (methods.includes(settings.method) && settings[field] !== null) url.searchParams.set(field, settings[field]);
      else url.searchParams.delete(field);
    }
    writePlace(url, viewOf(views));
    next(url);
  });

  async function copy(url) {
    writeAddress(url);
    for (const name of OF_THE_FRAME) url.searchParams.delete(name);
    const copied = await copyText(url.href, link);
    put(".copy", copied ? words.link.copied : words.link.shown);
    clearTimeout(saying);
    saying = setTimeout(() => put(".copy", words.link.copy), 2000);
  }

  document.documentElement.lang = words.language.tag;
  document.title = words.title;
  put("h1", words.title);
  put("header > p", words.tagline);
  put(".copy", words.link.copy);
  link.ariaLabel = words.link.copy;
  put(".tell", props.tell);
  keepMenu(find(".keep"), words, (next) => withSettings(address(), next));
  find(".tell").onclick = () => set({ story: 1 });
  window.settings.complete().then(() => openView(views, linkedTo("view")));
  find(".copy").onclick = () => withSettings(address(), copy);
  for (const [language, { tag, name }] of Object.entries(others)) {
    const other = make("a", "", find("nav"), name);
    Object.assign(other, { lang: tag, hreflang: tag, href: inLanguage(language) });
    other.onclick = (event) => {
      event.preventDefault();
      withSettings(inLanguage(language), (url) => location.assign(url));
    };
  }
}
