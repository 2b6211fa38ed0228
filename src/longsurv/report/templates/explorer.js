"use strict";
// The posterior under another normal prior, by importance weights on the fitted model's draws.
// The arithmetic is that of longsurv.report.explorer.reweighted, which the tests hold it to.
(function () {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const at = (name) => document.getElementById("explorer-" + name);
  // Room for half a label beside either end, in the larger letters of a phone, too.
  const box = { left: 24, right: 496, top: 12, bottom: 214 };
  const POINTS = 161;
  let effect, range, named = null;

  function reweight(e, centre, sd, relevant) {
    const n = e.draws.length, weight = new Float64Array(n);
    let top = -Infinity;
    for (let i = 0; i < n; i++) {
      const fitted = (e.draws[i] - e.under.centre) / e.under.sd, chosen = (e.draws[i] - centre) / sd;
      weight[i] = 0.5 * (fitted * fitted - chosen * chosen);
      top = Math.max(top, weight[i]);
    }
    let sum = 0, squares = 0, mean = 0, benefit = 0, large = 0;
    for (let i = 0; i < n; i++) sum += weight[i] = Math.exp(weight[i] - top);
    for (let i = 0; i < n; i++) {
      const w = weight[i] /= sum, gain = e.better === "lower" ? -e.draws[i] : e.draws[i];
      squares += w * w;
      mean += w * e.draws[i];
      if (gain > 0) benefit += w;
      if (gain > relevant) large += w;
    }
    let spread = 0;
    for (let i = 0; i < n; i++) spread += weight[i] * (e.draws[i] - mean) ** 2;
    const quantile = (p) => {
      let total = 0;
      for (const i of e.order) if ((total += weight[i]) >= p) return e.draws[i];
      return e.draws[e.order[n - 1]];
    };
    return {
      ess: 1 / squares, spread: Math.sqrt(spread), benefit, large, weight,
      low: quantile(0.025), median: quantile(0.5), high: quantile(0.975),
      first: quantile(0.001), last: quantile(0.999),
    };
  }

  // Weighted kernel density on the grid, normal kernel, Silverman's bandwidth.
  function density(e, found, grid) {
    const h = 1.06 * found.spread * Math.pow(found.ess, -0.2);
    const step = grid[1] - grid[0], reach = Math.ceil((4 * h) / step);
    const out = new Float64Array(grid.length);
    for (let i = 0; i < e.draws.length; i++) {
      const middle = Math.round((e.draws[i] - grid[0]) / step);
      for (let j = Math.max(0, middle - reach); j <= Math.min(grid.length - 1, middle + reach); j++) {
        out[j] += found.weight[i] * normal(grid[j], e.draws[i], h);
      }
    }
    return out;
  }

  function normal(x, mean, sd) {
    const z = (x - mean) / sd;
    return Math.exp(-0.5 * z * z) / (sd * Math.sqrt(2 * Math.PI));
  }

  function number(x) {
    if (x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6)) return x.toExponential(1);
    return Number(x.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 }).replace("-", "\u2212");
  }

  const shown = (x) => number(effect.ratio ? Math.exp(x) : x);
  const probability = (p) => (p < 0.01 ? "<0.01" : p > 0.99 ? ">0.99" : p.toFixed(2));
  const withUnit = (text) => (effect.unit ? text + " " + effect.unit : text);

  function settings() {
    const centre = effect.farthest * (Number(at("centre").value) / 100 - 1);
    const sd = widths(effect, Number(at("sd").value));
    const relevant = (effect.largest * Number(at("relevant").value)) / 100;
    const fitted = Number(at("centre").value) === effect.startCentre;
    if (named) return { centre: named.centre, sd: named.sd, relevant };
    const own = Number(at("sd").value) === effect.startSd;
    return { centre: fitted ? effect.centre : centre, sd: own ? effect.sd : sd, relevant };
  }

  // The slider's 0 to 200 as a standard deviation, from the narrowest to that of the draws' prior.
  function widths(e, value) {
    return e.under.sd * Math.pow(e.narrowest / e.under.sd, 1 - value / 200);
  }

  function widthAt(e, sd) {
    return Math.round(200 * (1 - Math.log(sd / e.under.sd) / Math.log(e.narrowest / e.under.sd)));
  }

  // With proportional hazards: of the other group's risk, in percentage points.
  function difference(x) {
    const points = 100 * (1 - effect.risk - Math.exp(Math.exp(x) * Math.log1p(-effect.risk)));
    return points.toFixed(1).replace(/^-0\.0$/, "0.0").replace("-", "\u2212");
  }

  function path(grid, heights, scale, close) {
    const points = Array.from(grid, (x, j) => place(x).toFixed(1) + " " + (box.bottom - heights[j] * scale).toFixed(1));
    const line = "M" + points.join("L");
    return close ? line + "L" + place(grid[grid.length - 1]) + " " + box.bottom + "L" + place(grid[0]) + " " + box.bottom + "Z" : line;
  }

  function place(x) {
    return box.left + ((x - range[0]) / (range[1] - range[0])) * (box.right - box.left);
  }

  function ticks() {
    if (effect.ratio) {
      const all = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
      const near = [0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4];
      const inside = (list) => list.map(Math.log).filter((x) => x >= range[0] && x <= range[1]);
      const chosen = inside(all).length >= 4 ? inside(all) : inside(near), kept = [];
      // From no effect outwards, so that 1 is always there and labels keep apart.
      for (const x of chosen.sort((x, y) => Math.abs(x) - Math.abs(y))) {
        if (kept.every((other) => Math.abs(place(x) - place(other)) > 36)) kept.push(x);
      }
      return kept;
    }
    const width = range[1] - range[0], rough = width / 5, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const out = [];
    for (let k = Math.ceil(range[0] / step); k * step <= range[1]; k++) out.push(k * step);
    return out;
  }

  function add(name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    at("plot").append(element);
    return element;
  }

  // Under its place on the axis, or as near to it as the figure is wide.
  function label(x, text) {
    const element = add("text", { x, y: box.bottom + 18, "text-anchor": "middle" }, text);
    const half = element.getComputedTextLength() / 2, whole = at("plot").viewBox.baseVal.width;
    element.setAttribute("x", Math.min(Math.max(x, half), whole - half));
  }

  function draw(chosen, found, trusted) {
    const svg = at("plot");
    for (const child of Array.from(svg.children)) if (child.tagName !== "title") child.remove();
    const grid = Float64Array.from({ length: POINTS }, (_, j) => range[0] + ((range[1] - range[0]) * j) / (POINTS - 1));
    const prior = grid.map((x) => normal(x, chosen.centre, chosen.sd));
    const posterior = trusted ? density(effect, found, grid) : new Float64Array(POINTS);
    const scale = (box.bottom - box.top) / Math.max(...posterior, trusted ? 0 : Math.max(...prior), Math.min(Math.max(...prior), 1.5 * Math.max(...posterior)));
    if (trusted) {
      add("path", { d: path(grid, posterior, scale, true), class: "posterior-area" });
      const edge = effect.better === "lower" ? -chosen.relevant : chosen.relevant;
      const kept = Array.from(grid.keys()).filter((j) => (effect.better === "lower" ? grid[j] < edge : grid[j] > edge));
      if (kept.length > 1) add("path", { d: path(kept.map((j) => grid[j]), kept.map((j) => posterior[j]), scale, true), class: "relevant-area" });
      add("path", { d: path(grid, posterior, scale, false), class: "posterior-line" });
    }
    add("path", { d: path(grid, prior.map((y) => Math.min(y, (box.bottom - box.top + 8) / scale)), scale, false), class: "prior-line" });
    add("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, class: "axis" });
    if (range[0] < 0 && range[1] > 0) add("line", { x1: place(0), x2: place(0), y1: box.top, y2: box.bottom, class: "null" });
    for (const tick of ticks()) {
      add("line", { x1: place(tick), x2: place(tick), y1: box.bottom, y2: box.bottom + 4, class: "axis" });
      label(place(tick), shown(tick));
    }
    const scaleName = effect.ratio ? "ratio, logarithmic axis" : "difference" + (effect.unit ? ", " + effect.unit : "");
    add("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle", class: "label" }, scaleName);
  }

  function update() {
    const chosen = settings();
    const found = reweight(effect, chosen.centre, chosen.sd, chosen.relevant);
    const trusted = found.ess >= data.smallestEss;
    const size = effect.better === "lower" ? -chosen.relevant : chosen.relevant;
    const side = effect.better === "lower" ? "below " : "above ";
    at("centre-text").textContent = withUnit(shown(chosen.centre));
    at("sd-text").textContent = effect.ratio ? number(chosen.sd) + " (95\u00a0% of the prior " + shown(chosen.centre - 1.96 * chosen.sd) + " to " + shown(chosen.centre + 1.96 * chosen.sd) + ")" : withUnit(number(chosen.sd));
    at("relevant-text").textContent = side + withUnit(shown(size));
    at("relevant-name").textContent = "P(" + side + withUnit(shown(size)) + ")";
    at("benefit-name").textContent = "P(" + side + withUnit(shown(0)) + ")";
    at("benefit").textContent = trusted ? probability(found.benefit) : "not shown";
    at("relevant-probability").textContent = trusted ? probability(found.large) : "not shown";
    at("interval").textContent = trusted ? withUnit(shown(found.median) + " (" + shown(found.low) + " to " + shown(found.high) + ")") : "not shown";
    at("risk-name").hidden = at("risk").hidden = effect.risk === null;
    if (effect.risk !== null) {
      at("risk-name").textContent = "Risk difference, points, at a risk of " + (100 * effect.risk).toFixed(1) + "\u00a0% in the reference group";
      at("risk").textContent = trusted ? difference(found.median) + " (" + difference(found.low) + " to " + difference(found.high) + ")" : "not shown";
    }
    at("ess").textContent = Math.round(found.ess) + " of " + effect.draws.length;
    at("warning").hidden = found.ess >= data.roughEss;
    at("warning").textContent = trusted
      ? "Rough: few draws carry the weight under this prior, so the numbers are uncertain in the last digit."
      : "This prior is too far from the one that the draws are from for them to be re-used; fit the study with it.";
    for (const name of ["centre", "sd", "relevant"]) at(name).setAttribute("aria-valuetext", at(name + "-text").textContent);
    draw(chosen, found, trusted);
  }

  function choose() {
    effect = data.effects[Number(at("effect").value)];
    effect.order = effect.order || Array.from(effect.draws.keys()).sort((i, j) => effect.draws[i] - effect.draws[j]);
    // As far as the posterior under the fitted prior goes, and to no effect.
    const own = reweight(effect, effect.centre, effect.sd, 0), pad = 0.35 * (own.last - own.first);
    range = [Math.min(own.first - pad, -pad), Math.max(own.last + pad, pad)];
    effect.startCentre = Math.round(100 * (effect.centre / effect.farthest + 1));
    effect.startSd = widthAt(effect, effect.sd);
    offer();
    reset();
  }

  // Priors with a name that are no wider than that of the draws, which do not reach farther.
  function offer() {
    at("named").replaceChildren(...effect.priors.map((prior) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = prior.name;
      button.addEventListener("click", () => {
        named = prior;
        at("centre").value = Math.round(100 * (prior.centre / effect.farthest + 1));
        at("sd").value = widthAt(effect, prior.sd);
        update();
      });
      return button;
    }));
    at("named-name").hidden = at("named").hidden = !effect.priors.length;
  }

  function reset() {
    named = null;
    at("centre").value = effect.startCentre;
    at("sd").value = effect.startSd;
    at("relevant").value = effect.relevant ? (100 * effect.relevant) / effect.largest : 15;
    update();
  }

  at("effect").addEventListener("change", choose);
  at("reset").addEventListener("click", reset);
  for (const name of ["centre", "sd", "relevant"]) {
    at(name).addEventListener("input", () => {
      if (name !== "relevant") named = null;
      update();
    });
  }
  at("panel").hidden = false;
  choose();
})();
