(() => {
  const every = Number(document.documentElement.dataset.every) * 1000;
  const button = document.getElementById("pause");
  const said = document.getElementById("said");
  if (!every || !button) return;
  let paused = false, busy = false;
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume updates" : "Pause updates";
    button.setAttribute("aria-pressed", String(paused));
  });
  const tick = async () => {
    if (paused || busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = document.getElementById("live"), fresh = next.getElementById("live");
      const held = document.activeElement, link = now.contains(held) ? held.getAttribute("href") : null;
      const open = [...now.querySelectorAll("details")].map((d) => d.open);
      now.replaceChildren(...fresh.childNodes);
      now.querySelectorAll("details").forEach((d, i) => { if (open[i]) d.open = true; });
      if (link) [...now.querySelectorAll("a")].find((a) => a.getAttribute("href") === link)?.focus({ preventScroll: true });
      document.title = next.title;
      said.textContent = "";
      if (!next.documentElement.dataset.every) { clearInterval(timer); button.hidden = true; }
    } catch {
      said.textContent = "No answer from the dashboard: these numbers may be old.";
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(tick, every);
})();
