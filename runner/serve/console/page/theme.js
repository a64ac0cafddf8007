// Before the page is drawn, so that it does not change its colours under the reader.
{
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* storage is off: as the system */ }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
}
