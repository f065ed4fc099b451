// Opens the story (story/story.js) at an address with ?story=3, or at a press of the masthead's button.
import { get, set, subscribe } from "../core/store.js";

export function mount({ element, server }) {
  let story = null; // the loaded story, as a promise

  async function load() {
    const [{ tell }, told] = await Promise.all([import("../story/story.js"), server.story(null)]);
    return tell(element.querySelector("dialog"), told);
  }

  async function show({ story: scene }) {
    if (scene === null && story === null) return;
    story ??= load();
    try {
      (await story).show(get().story); // the newest scene, if it has changed meanwhile
    } catch (error) {
      story = null; // a later press tries again
      set({ story: null });
      throw error;
    }
  }

  const follow = () => {
    const { searchParams } = new URL(location);
    set({ story: searchParams.has("story") ? Math.max(1, Math.trunc(searchParams.get("story")) || 1) : null });
  };
  subscribe(element, ["story"], show);
  window.addEventListener("popstate", follow);
  follow();
}
