// Brings the overview up to date while a run is open. Without this script the page is the same, only still.
(() => {
  const every = 3000;
  const refresh = async () => {
    const main = document.querySelector("main");
    if (!main || !main.dataset.live) return;
    if (!document.hidden) {
      try {
        const answer = await fetch(location.pathname, { cache: "no-store" });
        if (answer.ok) {
          const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
          const focused = document.activeElement && main.contains(document.activeElement);
          if (next && !focused) main.replaceWith(next);
        }
      } catch (_) { /* the coordinator is away: try again */ }
    }
    setTimeout(refresh, every);
  };
  setTimeout(refresh, every);
})();
