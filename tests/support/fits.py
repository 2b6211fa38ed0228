"""What a page in a browser cuts off."""

from __future__ import annotations

from browser import Browser

# A table may be wider than its box where the box scrolls; nothing else may be wider than its place.
_MISFITS = """((width) => {
  const out = [];
  const whole = document.documentElement.scrollWidth;
  if (whole > width) out.push(`the page is ${whole} wide`);
  for (const box of document.querySelectorAll('.table')) {
    const style = getComputedStyle(box);
    const hinted = style.overflowX === 'auto' && style.backgroundImage.includes('gradient');
    if (box.scrollWidth > box.clientWidth + 1 && !hinted)
      out.push(`table ${box.ariaLabel}: ${box.scrollWidth} in ${box.clientWidth}`);
  }
  for (const figure of document.querySelectorAll('svg.figure')) {
    const place = figure.getBoundingClientRect();
    if (!place.width) continue;
    for (const text of figure.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      const out_by = Math.max(place.left - box.left, box.right - place.right,
                              place.top - box.top, box.bottom - place.bottom);
      if (box.width && out_by > 1)
        out.push(`figure ${figure.ariaLabel.slice(0, 40)}: "${text.textContent}" by ${out_by}`);
    }
  }
  const texts = 'h1, h2, h3, p, li, summary, caption, th, td, figcaption, dt, dd, label, button';
  for (const text of document.querySelectorAll(texts)) {
    if (!text.getClientRects().length || text.closest('.stacked thead')) continue;
    if (text.scrollWidth > text.clientWidth + 1 && getComputedStyle(text).display !== 'inline')
      out.push(`${text.tagName} "${text.textContent.slice(0, 40)}": ${text.scrollWidth}`
               + ` in ${text.clientWidth}`);
  }
  return out;
})"""


def misfits(browser: Browser, width: int) -> list[str]:
    """Every text of the open page that lies outside its place, in words."""
    found: list[str] = browser.run(f"{_MISFITS}({width})")
    return found
