"""What a page in a browser cuts off, and what is too faint to be read."""

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


# WCAG 2: contrast of relative luminances. What lies under a text is the nearest ground that is
# painted; a text of a figure lies on the paper, or on what is drawn at its place.
_FAINT = """((least) => {
  const pixel = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = rgba(colour).slice(0, 3).map((value) => {
      const x = value / 255;
      return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const out = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.getClientRects().length) continue;
    if (element.closest('title, script, style, noscript')) continue;
    const style = getComputedStyle(element), drawn = element.closest('svg');
    const colour = drawn ? style.fill : style.color;
    const [a, b] = [light(colour), light(ground(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const where = `${colour} on ${ground(element)}`;
    if (contrast < least) out.set(where, `${contrast.toFixed(2)}: ${text}`);
  }
  return [...out].map(([where, text]) => `${where}, ${text}`);
})"""


def faint(browser: Browser, least: float = 4.5) -> list[str]:
    """Every pair of colours of a text and its ground with less contrast than that, in words."""
    found: list[str] = browser.run(f"{_FAINT}({least})")
    return found
