"use strict";
(() => {
  const source = document.getElementById("data");
  const chart = document.getElementById("chart");
  if (!source || !chart) return;
  const kinds = ["heap", "object", "group", "module", "roots", "rest"];
  const keys = ["kind", "parent", "type", "expression", "where", "objects", "own", "retained", "cut"];
  const nodes = JSON.parse(source.textContent).map((row, index) => {
    const node = { index, children: [] };
    keys.forEach((key, at) => { node[key] = row[at]; });
    node.kind = kinds[node.kind];
    return node;
  });
  const total = nodes[0].retained || 1;
  nodes.forEach((node, index) => { if (index > 0) nodes[node.parent].children.push(node); });

  const count = (number) => number.toLocaleString("en-US");
  const bytes = (number) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (number >= 1024 && unit < units.length - 1) { number /= 1024; unit++; }
    return (unit === 0 ? String(number) : number.toFixed(1)) + " " + units[unit];
  };
  const share = (number) => {
    const percent = 100 * number / total;
    return percent > 0 && percent < 0.05 ? "< 0.1 %" : percent.toFixed(1) + " %";
  };

  // What of an expression its owner does not say already.
  const ownerExpression = (node) => {
    for (let owner = nodes[node.parent]; owner.index > 0; owner = nodes[owner.parent]) {
      if (owner.expression) return owner.expression;
    }
    return "";
  };
  const label = (node) => {
    if (node.kind === "heap") return "the heap";
    if (node.kind === "rest") return count(node.objects) + " smaller";
    if (node.kind === "group") return count(node.objects) + " × " + node.type;
    if (!node.expression) return node.type;
    const owner = ownerExpression(node).replace(/\.__dict__$/, "");
    if (owner && node.expression.length > owner.length && node.expression.startsWith(owner)) return node.expression.slice(owner.length);
    return node.expression;
  };
  const color = (node) => {
    if (node.kind === "rest" || node.kind === "heap" || node.kind === "roots") return "rest";
    let hash = 7;
    for (const letter of node.type) hash = (hash * 31 + letter.codePointAt(0)) % 65521;
    return "f" + hash % 8;
  };

  const detail = document.getElementById("detail");
  const line = (style, text) => {
    const paragraph = document.createElement("p");
    paragraph.className = style;
    paragraph.textContent = text;
    return paragraph;
  };
  const describe = (node) => {
    const facts = ["holds " + bytes(node.retained) + ", " + share(node.retained) + " of the heap"];
    if (node.kind === "object") facts.unshift(node.type);
    if (node.kind === "group") facts.unshift(label(node));
    if (node.kind === "heap") facts[0] = bytes(node.retained) + " in " + count(node.objects) + " objects";
    else if (node.kind === "module" || node.kind === "roots") facts.push(count(node.objects) + " objects that no other one holds alone");
    else if (node.objects !== 1) facts.push(count(node.objects) + " objects of " + bytes(node.own) + " themselves");
    else facts.push("itself " + bytes(node.own));
    if (node.where) facts.push(node.where);
    if (node.cut) facts.push("holds more, in pieces too small to be shown");
    detail.replaceChildren(line("expr", node.expression || label(node)),
                           line("more", facts.join("  ·  ")));
  };

  const svg = (name, attributes, parent) => {
    const element = document.createElementNS(chart.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  };
  const fit = (text, room) => {
    const letters = Math.floor(room / 7.3);
    if (letters < 3) return "";
    return text.length <= letters ? text : text.slice(0, letters - 1) + "…";
  };

  let top = nodes[0];
  const trail = document.getElementById("trail");
  const drawTrail = () => {
    const path = [];
    for (let node = top; ; node = nodes[node.parent]) {
      path.unshift(node);
      if (node.index === 0) break;
    }
    trail.replaceChildren();
    path.forEach((node, at) => {
      if (at > 0) trail.append(Object.assign(document.createElement("span"), { textContent: "›" }));
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label(node);
      button.title = node.expression || label(node);
      if (node === top) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => open(node));
      trail.append(button);
    });
  };

  const drawBlock = (node, x, y, width, height) => {
    const leaf = node.children.length === 0;
    const group = svg("g", { tabindex: height >= 6 ? 0 : -1, role: leaf ? "img" : "button" }, chart);
    if (leaf) group.classList.add("leaf");
    const text = label(node);
    svg("title", {}, group).textContent = text + ", " + bytes(node.retained) + ", " + share(node.retained);
    svg("rect", { x: x + 0.5, y: y + 0.5, width: Math.max(width - 1, 1), height: Math.max(height - 0.5, 0.5), class: color(node) }, group);
    if (height >= 15) {
      const size = bytes(node.retained);
      const below = height >= 32;
      const room = width - 14 - (below ? 0 : size.length * 7);
      svg("text", { x: x + 7, y: y + (below ? 15 : height / 2 + 4) }, group).textContent = fit(text, room);
      svg("text", { x: below ? x + 7 : x + width - 7, y: y + (below ? 29 : height / 2 + 4), class: "size",
                    "text-anchor": below ? "start" : "end" }, group).textContent = below ? fit(size + "  " + share(node.retained), width - 14) : size;
    }
    group.addEventListener("mouseenter", () => describe(node));
    group.addEventListener("focus", () => describe(node));
    group.addEventListener("click", () => { if (!leaf) open(node === top && node.index > 0 ? nodes[node.parent] : node); });
    group.addEventListener("keydown", (event) => {
      if ((event.key === "Enter" || event.key === " ") && !leaf) { event.preventDefault(); open(node); }
    });
  };

  // How many columns the blocks need that hold so much.
  const levelsBelow = (from, least) => {
    let level = [from], levels = 0;
    while (level.length > 0) {
      levels++;
      level = level.flatMap((node) => node.children.filter((child) => child.retained >= least));
    }
    return levels;
  };

  const draw = () => {
    chart.replaceChildren();
    const box = chart.getBoundingClientRect();
    const width = Math.max(box.width - 2, 200), height = Math.max(box.height - 2, 100);
    chart.setAttribute("viewBox", "0 0 " + width + " " + height);
    const scale = height / (top.retained || 1);
    const levels = levelsBelow(top, 1.5 / scale);
    const columns = Math.max(2, Math.min(6, levels, Math.floor(width / 185)));
    const waiting = [{ node: top, depth: 0, y: 0 }];
    while (waiting.length > 0) {
      const { node, depth, y } = waiting.shift();
      const tall = node.retained * scale;
      drawBlock(node, depth * width / columns, y, width / columns, tall);
      if (depth + 1 >= columns) continue;
      let at = y;
      // What is thinner than a line is drawn as one.
      const thin = { kind: "rest", parent: node.index, type: "", expression: "", where: "", objects: 0, own: 0, retained: 0, cut: 0, children: [] };
      for (const child of node.children) {
        const part = child.retained * scale;
        if (part < 1.5) {
          thin.objects += child.objects;
          thin.own += child.own;
          thin.retained += child.retained;
          continue;
        }
        waiting.push({ node: child, depth: depth + 1, y: at });
        at += part;
      }
      if (thin.retained * scale >= 0.5) waiting.push({ node: thin, depth: depth + 1, y: at });
    }
  };

  function open(node) {
    top = node;
    drawTrail();
    draw();
    describe(node);
  }
  document.getElementById("map").addEventListener("keydown", (event) => {
    if (event.key === "Backspace" && top.index > 0) { event.preventDefault(); open(nodes[top.parent]); }
  });
  document.getElementById("map").hidden = false;
  document.getElementById("table").open = false;
  open(top);
  let pending = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(pending); pending = requestAnimationFrame(draw); });
})();
