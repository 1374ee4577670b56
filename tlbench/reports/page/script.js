"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const n = data.labels.length;
  // Petroff's ten colours (2021, arXiv:2107.02270), told apart with colour-blindness; on a dark page
  // the four that would be too dark are lighter. Classes that share a colour differ in shape.
  const LIGHT = ["#3f90da", "#e08600", "#bd1f01", "#6f8480", "#832db6", "#a96b59", "#e76300", "#8f8347", "#4b4f5e", "#3aa3ad"];
  const DARK = ["#5ba6ee", "#ffa90e", "#ff6e55", "#94a4a2", "#c07df0", "#c98f7d", "#ff8a3c", "#b9ac70", "#a2a7b5", "#92dadd"];
  const SHAPES = ["circle", "square", "triangle", "diamond", "cross"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (k) => (dark.matches ? DARK : LIGHT)[k % 10];
  const shape = (k) => SHAPES[(k + Math.floor(k / 10)) % 5];

  // Every text goes into the page as text.
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  };
  const title = (i) => data.names.length ? data.names[i] : `test image ${data.rows ? data.rows[i] : i}`;
  const thumb = (i) => {
    const found = make("span", { class: "thumb", role: "img", "aria-label": title(i), title: title(i) });
    const x = (i % data.columns) / Math.max(1, data.columns - 1);
    const y = Math.floor(i / data.columns) / Math.max(1, data.lines - 1);
    found.style.backgroundPosition = `${100 * x}% ${100 * y}%`;
    return found;
  };
  const sureness = (head, i) => {
    if (!head.confidence) return "";
    const value = head.confidence[i] / 1000;
    return head.kind === "probability" ? `${Math.round(100 * value)} %` : value.toFixed(2);
  };
  const bdi = (value) => make("bdi", {}, value);
  const item = (head, i) => {
    const found = head.predicted[i], right = found === data.labels[i];
    return make("li", {}, thumb(i),
      make("span", { class: "was" }, bdi(data.classes[data.labels[i]])), " ",
      make("span", { class: right ? "as right" : "as" }, "→ ", bdi(data.classes[found])), " ",
      make("span", { class: "sure" }, sureness(head, i)));
  };
  const byConfidence = (head, images) =>
    head.confidence ? images.sort((a, b) => head.confidence[b] - head.confidence[a]) : images;
  const count = (value, noun) => `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;

  // A list of images that grows by a button, so that thousands never stand in the page at once.
  const fill = (list, more, head, images, from) => {
    const end = Math.min(images.length, from + data.shown);
    for (let k = from; k < end; k++) list.append(item(head, images[k]));
    more.hidden = end >= images.length;
    more.onclick = () => {
      const next = list.children.length;
      fill(list, more, head, images, next);
    };
  };

  const tip = make("div", { id: "tip", hidden: true, role: "status" });
  document.body.append(tip);
  // Beside a place in the window, and never outside of it.
  const putTip = (x, y) => {
    tip.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(y + 16, innerHeight - tip.offsetHeight - 8))}px`;
  };

  const imagesOf = (head, label, predicted) => {
    const images = [];
    for (let i = 0; i < n; i++) if (data.labels[i] === label && head.predicted[i] === predicted) images.push(i);
    return byConfidence(head, images);
  };
  const peek = (button, entry, label, predicted) => {
    const images = imagesOf(data.heads[entry], label, predicted);
    const row = make("div", { class: "row" }, ...images.slice(0, 8).map(thumb));
    tip.replaceChildren(row, make("span", {}, bdi(data.classes[label]), " predicted as ", bdi(data.classes[predicted])),
      make("span", {}, `${count(images.length, "image")}: a click opens ${images.length === 1 ? "it" : "them"}`));
    tip.hidden = false;
    const box = button.getBoundingClientRect();
    putTip(box.right - 8, box.bottom - 8);
  };
  const openCell = (button, entry, label, predicted) => {
    tip.hidden = true;
    const head = data.heads[entry], place = document.getElementById("opened");
    for (const other of document.querySelectorAll("[aria-expanded=true]")) other.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-expanded", "true");
    const images = imagesOf(head, label, predicted);
    const list = make("ul", { class: "gallery" });
    const more = make("button", { type: "button", class: "button" }, "Show more");
    const close = make("button", { type: "button", class: "button", onclick: () => {
      place.replaceChildren();
      button.setAttribute("aria-expanded", "false");
      button.focus();
    } }, "Close");
    const heading = make("h3", {}, bdi(data.classes[label]), " predicted as ", bdi(data.classes[predicted]), `: ${count(images.length, "image")}`);
    place.replaceChildren(make("div", { class: "opened", tabindex: "-1" }, heading, list, make("div", { class: "controls" }, more, close)));
    fill(list, more, head, images, 0);
    place.firstChild.focus({ preventScroll: true });
    place.scrollIntoView({ block: "nearest" });
  };

  for (const cell of document.querySelectorAll("[data-true]")) {
    const entry = cell.closest("[data-entry]").dataset.entry;
    if (!data.heads[entry]) continue;
    const label = +cell.dataset.true, predicted = +cell.dataset.predicted;
    const holder = cell.tagName === "TR" ? cell.querySelector(".num") : cell;
    const text = holder.textContent;
    const name = `${text}: ${data.classes[label]} predicted as ${data.classes[predicted]}, show images`;
    const button = make("button", { type: "button", "aria-label": name, "aria-expanded": "false", "aria-controls": "opened" }, text);
    button.addEventListener("click", () => openCell(button, entry, label, predicted));
    button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") peek(button, entry, label, predicted); });
    button.addEventListener("pointerleave", () => { tip.hidden = true; });
    holder.replaceChildren(button);
  }
  for (const table of document.querySelectorAll("table.confusion")) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    table.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step || event.target.tagName !== "BUTTON") return;
      event.preventDefault();
      let line = event.target.closest("tr").rowIndex, column = event.target.closest("td").cellIndex;
      for (;;) {
        line += step[0];
        column += step[1];
        const cell = table.rows[line] && line > 0 && table.rows[line].cells[column];
        if (!cell) return;
        const button = cell.querySelector("button");
        if (button) return button.focus();
      }
    });
  }

  const select = (label, options, onchange) => {
    const found = make("select", { onchange });
    options.forEach(([value, text]) => found.append(make("option", { value }, text)));
    return [make("label", {}, label, found), found];
  };
  const check = (label, checked, onchange) => {
    const found = make("input", { type: "checkbox", checked, onchange });
    return [make("label", { class: "check" }, found, label), found];
  };

  const browser = document.getElementById("browser");
  if (browser) {
    const list = document.getElementById("gallery");
    const classes = [["", "any"], ...data.classes.map((name, k) => [k, name])];
    const status = make("p", { class: "status", role: "status" });
    const more = make("button", { type: "button", class: "button" }, "Show more");
    const update = () => {
      const head = data.heads[which.value], images = [], sought = words.value.trim().toLowerCase();
      for (let i = 0; i < n; i++) {
        if (wrong.checked && head.predicted[i] === data.labels[i]) continue;
        if (isTrue.value !== "" && data.labels[i] !== +isTrue.value) continue;
        if (isFound.value !== "" && head.predicted[i] !== +isFound.value) continue;
        if (sought && !title(i).toLowerCase().includes(sought)) continue;
        images.push(i);
      }
      byConfidence(head, images);
      list.replaceChildren();
      fill(list, more, head, images, 0);
      status.textContent = `${count(images.length, "image")} of ${n.toLocaleString("en")}`;
    };
    const [headLabel, which] = select("Head", Object.keys(data.heads).map((name) => [name, name]), update);
    which.value = data.first;
    const [trueLabel, isTrue] = select("True class", classes, update);
    const [foundLabel, isFound] = select("Predicted class", classes, update);
    const words = make("input", { type: "search", oninput: update });
    const [wrongLabel, wrong] = check("misclassified only", true, update);
    browser.append(make("div", { class: "controls" }, headLabel, trueLabel, foundLabel,
      make("label", {}, data.names.length ? "File name" : "Number", words), wrongLabel), status);
    list.after(make("div", { class: "controls" }, more));
    update();
  }

  const drawMap = (place) => {
    const head = data.heads[data.first], points = data.points;
    const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
    const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
    const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    const span = [high[0] - low[0] || 1, high[1] - low[1] || 1];
    const hidden = new Set();
    let zoom = 1, shift = [0, 0], hovered = -1, pending = false, onlyWrong = false, ringed = true;
    const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label":
      "Map of the features, a point for each test image. Arrow keys move it, plus and minus zoom, 0 resets; N and P step through the misclassified images." });
    const pen = canvas.getContext("2d");
    const isWrong = (i) => head.predicted[i] !== data.labels[i];
    const visible = (i) => !hidden.has(data.labels[i]) && (!onlyWrong || isWrong(i));
    const size = () => [canvas.clientWidth || 1, canvas.clientHeight || 1];
    const at = (i) => {
      const [w, h] = size(), scale = 0.94 * Math.min(w / span[0], h / span[1]) * zoom;
      return [w / 2 + (points[i][0] - middle[0]) * scale + shift[0], h / 2 - (points[i][1] - middle[1]) * scale + shift[1]];
    };
    const mark = (context, kind, x, y, r) => {
      context.beginPath();
      if (kind === "circle") context.arc(x, y, r, 0, 2 * Math.PI);
      else if (kind === "square") context.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r);
      else if (kind === "triangle") { context.moveTo(x, y - 1.2 * r); context.lineTo(x + 1.1 * r, y + 0.8 * r); context.lineTo(x - 1.1 * r, y + 0.8 * r); context.closePath(); }
      else if (kind === "diamond") { context.moveTo(x, y - 1.3 * r); context.lineTo(x + 1.1 * r, y); context.lineTo(x, y + 1.3 * r); context.lineTo(x - 1.1 * r, y); context.closePath(); }
      else { const a = r * 1.2, b = r * 0.42; context.rect(x - a, y - b, 2 * a, 2 * b); context.rect(x - b, y - a, 2 * b, 2 * a); }
    };
    const draw = () => {
      pending = false;
      const [w, h] = size(), ratio = devicePixelRatio || 1;
      if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
        canvas.width = Math.round(w * ratio);
        canvas.height = Math.round(h * ratio);
      }
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, w, h);
      const ink = getComputedStyle(document.body).color;
      const usual = n > 3000 ? 2.2 : n > 1200 ? 3 : 3.8;
      const r = Math.min(7, usual * Math.sqrt(zoom * Math.min(1, w / 800)));
      for (let i = 0; i < n; i++) {
        if (!visible(i)) continue;
        const [x, y] = at(i);
        if (x < -9 || y < -9 || x > w + 9 || y > h + 9) continue;
        mark(pen, shape(data.labels[i]), x, y, r);
        pen.fillStyle = colour(data.labels[i]);
        pen.globalAlpha = 0.85;
        pen.fill();
      }
      pen.globalAlpha = 1;
      pen.strokeStyle = ink;
      for (let i = 0; i < n && ringed; i++) {
        if (!isWrong(i) || !visible(i)) continue;
        const [x, y] = at(i);
        pen.lineWidth = 1.2;
        pen.beginPath();
        pen.arc(x, y, r + 2, 0, 2 * Math.PI);
        pen.stroke();
      }
      if (hovered >= 0) {
        const [x, y] = at(hovered);
        pen.lineWidth = 2.5;
        pen.beginPath();
        pen.arc(x, y, r + 4, 0, 2 * Math.PI);
        pen.stroke();
      }
    };
    const redraw = () => { if (!pending) { pending = true; requestAnimationFrame(draw); } };
    const nearest = (x, y) => {
      let best = -1, least = 14 * 14;
      for (let i = 0; i < n; i++) {
        if (!visible(i)) continue;
        const p = at(i), d = (p[0] - x) ** 2 + (p[1] - y) ** 2;
        if (d < least) { least = d; best = i; }
      }
      return best;
    };
    const show = (i) => {
      if (i === hovered) return;
      hovered = i;
      tip.hidden = i < 0;
      if (i >= 0) {
        const found = head.predicted[i], sure = sureness(head, i);
        tip.replaceChildren(thumb(i), make("span", {}, bdi(title(i))), make("span", {}, "true: ", bdi(data.classes[data.labels[i]])),
          make("span", { class: found === data.labels[i] ? "as right" : "as" }, "predicted: ", bdi(data.classes[found])), make("span", {}, sure));
        follow();
      }
      redraw();
    };
    const follow = () => {
      if (hovered < 0) return;
      const box = canvas.getBoundingClientRect(), [x, y] = at(hovered);
      putTip(box.left + x, box.top + y);
    };
    const zoomBy = (factor, x, y) => {
      const [w, h] = size(), next = Math.min(40, Math.max(0.8, zoom * factor)), real = next / zoom;
      const from = [(x ?? w / 2) - w / 2, (y ?? h / 2) - h / 2];
      shift = [from[0] - (from[0] - shift[0]) * real, from[1] - (from[1] - shift[1]) * real];
      zoom = next;
      show(-1);
      redraw();
    };
    const move = (x, y) => { shift = [shift[0] + x, shift[1] + y]; show(-1); redraw(); };
    const reset = () => { zoom = 1; shift = [0, 0]; show(-1); redraw(); };
    const step = (by) => {
      for (let k = 1; k <= n; k++) {
        const i = (((hovered < 0 ? (by > 0 ? -1 : n) : hovered) + by * k) % n + n) % n;
        if (!isWrong(i) || !visible(i)) continue;
        const [w, h] = size(), [x, y] = at(i);
        if (x < 0 || y < 0 || x > w || y > h) move(w / 2 - x, h / 2 - y);
        return show(i);
      }
    };
    let dragged = null;
    canvas.addEventListener("pointerdown", (event) => {
      dragged = [event.clientX, event.clientY];
      if (event.pointerType !== "mouse") return;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      if (dragged && event.buttons) {
        move(event.clientX - dragged[0], event.clientY - dragged[1]);
        dragged = [event.clientX, event.clientY];
      } else show(nearest(event.clientX - box.left, event.clientY - box.top));
    });
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      show(nearest(event.clientX - box.left, event.clientY - box.top));
    });
    canvas.addEventListener("pointerup", () => { dragged = null; });
    canvas.addEventListener("pointerleave", (event) => { dragged = null; if (event.pointerType === "mouse") show(-1); });
    canvas.addEventListener("blur", () => show(-1));
    canvas.addEventListener("wheel", (event) => {
      // A page that scrolls past the map must not be caught by it.
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      zoomBy(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    const keys = {
      ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40),
      "+": () => zoomBy(1.4), "=": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4), 0: reset,
      n: () => step(1), p: () => step(-1), Escape: () => show(-1),
    };
    canvas.addEventListener("keydown", (event) => {
      const action = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
      if (action) { event.preventDefault(); action(); }
    });
    addEventListener("scroll", follow, { passive: true });

    const swatch = (k) => {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const d = { circle: "M7 2a5 5 0 1 0 .01 0z", square: "M2.5 2.5h9v9h-9z", triangle: "M7 1.5 12.5 12h-11z", diamond: "M7 .8 12.2 7 7 13.2 1.8 7z", cross: "M5.2 1h3.6v4.2H13v3.6H8.8V13H5.2V8.8H1V5.2h4.2z" }[shape(k)];
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      box.setAttribute("viewBox", "0 0 14 14");
      box.setAttribute("aria-hidden", "true");
      path.setAttribute("d", d);
      path.setAttribute("fill", colour(k));
      box.append(path);
      return box;
    };
    const legend = make("div", { class: "legend", role: "group", "aria-label": "Classes on the map", tabindex: "0" });
    const buttons = [];
    const press = (k, on) => {
      if (on) hidden.delete(k); else hidden.add(k);
      buttons[k].setAttribute("aria-pressed", String(on));
    };
    data.classes.forEach((name, k) => {
      const button = make("button", { type: "button", "aria-pressed": "true", title: name, onclick: () => { press(k, hidden.has(k)); show(-1); redraw(); } }, swatch(k), make("span", {}, bdi(name)));
      buttons.push(button);
      legend.append(button);
    });
    const all = (on) => { data.classes.forEach((_, k) => press(k, on)); show(-1); redraw(); };
    const button = (text, onclick, label) => make("button", { type: "button", class: "button", onclick, "aria-label": label || text }, text);
    const [ringLabel, ring] = check("mark misclassified", true, () => { ringed = ring.checked; redraw(); });
    const [onlyLabel, only] = check("misclassified only", false, () => { onlyWrong = only.checked; show(-1); redraw(); });
    place.replaceChildren(
      make("div", { class: "controls" }, button("+", () => zoomBy(1.5), "Zoom in"), button("−", () => zoomBy(1 / 1.5), "Zoom out"), button("Reset", reset),
        button("All classes", () => all(true)), button("No class", () => all(false)), ringLabel, onlyLabel),
      make("div", { class: "mapbox" }, canvas, legend));
    new ResizeObserver(redraw).observe(canvas);
    dark.addEventListener("change", () => { buttons.forEach((one, k) => one.replaceChild(swatch(k), one.firstChild)); redraw(); });
    // For a look from outside: where a point is, and whether it is drawn.
    canvas.locate = at;
    canvas.isShown = visible;
    draw();
  };
  const place = document.getElementById("map");
  if (place && data.points.length) drawMap(place);

  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) { part.open = true; part.dataset.printed = ""; }
  });
  addEventListener("afterprint", () => {
    for (const part of document.querySelectorAll("details[data-printed]")) { part.open = false; delete part.dataset.printed; }
  });
})();
