// Draws what the kernel tells of the GPUs, and tells the kernel whether anybody can see it.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 100;
const HEIGHT = 28;

function tag(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  return made;
}

/** The course of one of a GPU's numbers; a gap where nobody knows it. */
function chart(points, index, { top, window, kind, label }) {
  const drawing = shape('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': label,
    class: `jx-gpus-chart jx-gpus-${kind}`
  });
  const title = shape('title', {});
  title.textContent = label;
  drawing.append(title);
  const to = points.length ? points[points.length - 1][0] : 0;
  let line = '';
  let pen = 'M';
  let first = null;
  let last = 0;
  for (const point of points) {
    const value = point[index];
    if (value === null) {
      pen = 'M';
      continue;
    }
    const x = WIDTH * (1 - (to - point[0]) / window);
    const y = HEIGHT - 1 - Math.min(1, value / top) * (HEIGHT - 2);
    line += `${pen}${x.toFixed(2)} ${y.toFixed(2)}`;
    first ??= x;
    last = x;
    pen = 'L';
  }
  drawing.append(
    shape('path', { class: 'jx-gpus-base', d: `M0 ${HEIGHT - 0.5}H${WIDTH}` })
  );
  if (first !== null) {
    if (!line.slice(1).includes('M')) {
      const area = `${line}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`;
      drawing.append(shape('path', { class: 'jx-gpus-area', d: area }));
    }
    drawing.append(shape('path', { class: 'jx-gpus-line', d: line }));
  }
  return drawing;
}

function figure(name, text, drawing) {
  return tag(
    'figure',
    'jx-gpus-figure',
    tag(
      'figcaption',
      'jx-gpus-caption',
      tag('span', 'jx-gpus-quiet', name),
      tag('span', 'jx-gpus-number', text)
    ),
    drawing
  );
}

function row(gpu, window) {
  const title = tag('span', 'jx-gpus-model', gpu.model);
  title.title = gpu.uuid;
  const chip = tag('span', 'jx-gpus-chip', gpu.state);
  chip.dataset.free = String(gpu.free);
  const beside = [...gpu.holders, ...gpu.facts].join(' · ');
  const made = tag(
    'li',
    'jx-gpus-row',
    tag(
      'div',
      'jx-gpus-head',
      tag('span', 'jx-gpus-quiet jx-gpus-number', String(gpu.gid)),
      title,
      chip
    ),
    tag(
      'div',
      'jx-gpus-charts',
      figure(
        'Use',
        gpu.busy,
        chart(gpu.past, 1, {
          top: 100,
          window,
          kind: 'use',
          label: `Use of GPU ${gpu.gid}: ${gpu.busy}`
        })
      ),
      figure(
        'Memory',
        gpu.used,
        chart(gpu.past, 2, {
          top: gpu.memory,
          window,
          kind: 'memory',
          label: `Memory of GPU ${gpu.gid}: ${gpu.used}`
        })
      )
    )
  );
  if (beside) {
    made.append(tag('div', 'jx-gpus-quiet', beside));
  }
  return made;
}

function draw(model, place) {
  const {
    gpus = [],
    waiting = 0,
    trouble = '',
    none,
    window
  } = model.get('shown');
  const parts = [];
  if (trouble) {
    const said = tag('div', 'jx-gpus-trouble', trouble);
    said.setAttribute('role', 'alert');
    parts.push(said);
  }
  if (gpus.length) {
    const list = tag('ul', 'jx-gpus-list');
    list.append(...gpus.map(gpu => row(gpu, window)));
    parts.push(list);
  } else if (!trouble) {
    parts.push(tag('div', 'jx-gpus-quiet', none ?? ''));
  }
  if (gpus.length) {
    const queue =
      waiting === 0
        ? 'Nobody waits for a GPU.'
        : waiting === 1
          ? '1 waits for a GPU.'
          : `${waiting} wait for GPUs.`;
    const said = tag(
      'div',
      'jx-gpus-foot jx-gpus-quiet',
      tag('span', '', queue),
      tag('span', '', `last ${Math.round(window / 60)} minutes`)
    );
    parts.push(said);
  }
  place.replaceChildren(...parts);
}

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const place = tag('section', 'jx-gpus');
  place.setAttribute('aria-label', 'GPUs');
  el.append(place);

  let onScreen = false;
  let told = null;
  const tell = seen => {
    if (seen !== told) {
      told = seen;
      model.send({ view, seen });
    }
  };
  const look = () => tell(onScreen && !document.hidden);
  const leave = () => tell(false);
  const watcher = new IntersectionObserver(entries => {
    onScreen = entries[entries.length - 1].isIntersecting;
    look();
  });
  const redraw = () => draw(model, place);

  model.on('change:shown', redraw);
  document.addEventListener('visibilitychange', look);
  window.addEventListener('pagehide', leave);
  redraw();
  watcher.observe(el);
  return () => {
    watcher.disconnect();
    document.removeEventListener('visibilitychange', look);
    window.removeEventListener('pagehide', leave);
    model.off('change:shown', redraw);
    leave();
  };
}

export default { render };
