// Values under the pointer, or by arrow keys. The points are read from the drawn paths, so nothing is sent twice.
const number = value => {
    const size = Math.abs(value);
    return size !== 0 && (size >= 1e6 || size < 1e-4) ? value.toExponential(3) : Number(value.toPrecision(4)).toLocaleString('en');
};

export function attach(root) {
    const area = root.querySelector('.chart-area');
    const box = document.createElement('div');
    box.className = 'chart-tip';
    box.hidden = true;
    box.setAttribute('role', 'status');
    const rule = document.createElement('div');
    rule.className = 'chart-rule';
    rule.hidden = true;
    area.append(rule, box);
    let at = null;

    const scale = name => Number(root.dataset[name]);

    const lines = () => [...area.querySelectorAll('path.line')].map(path => {
        const raw = path.getAttribute('d').match(/-?[\d.]+/g) ?? [];
        const points = [];
        for (let i = 0; i + 1 < raw.length; i += 2) {
            points.push({ x: Number(raw[i]), y: Number(raw[i + 1]) });
        }
        return { name: path.dataset.name, series: [...path.classList].find(c => c.startsWith('series-')), points };
    });

    const nearest = (points, x) => points.reduce((best, p) => Math.abs(p.x - x) < Math.abs(best.x - x) ? p : best, points[0]);

    const show = x => {
        const all = lines().filter(line => line.points.length > 0);
        if (all.length === 0) {
            return;
        }
        const hit = all.map(line => nearest(line.points, x)).reduce((best, p) => Math.abs(p.x - x) < Math.abs(best.x - x) ? p : best);
        at = hit.x;
        const step = Math.round(scale('x0') + hit.x / 1000 * (scale('x1') - scale('x0')));
        box.replaceChildren();
        const head = document.createElement('strong');
        head.textContent = `Step ${step.toLocaleString('en')}`;
        box.append(head);
        for (const line of all) {
            const point = nearest(line.points, hit.x);
            if (Math.abs(point.x - hit.x) > 0.02) {
                continue;
            }
            const row = document.createElement('span');
            row.className = line.series;
            const key = document.createElement('i');
            key.className = 'chart-key';
            const value = scale('y0') + (1 - point.y / 1000) * (scale('y1') - scale('y0'));
            row.append(key, `${line.name} ${number(value)}`);
            box.append(row);
        }
        rule.style.left = `${hit.x / 10}%`;
        box.classList.toggle('left', hit.x > 500);
        box.style.left = `${hit.x / 10}%`;
        rule.hidden = box.hidden = false;
    };

    const hide = () => {
        rule.hidden = box.hidden = true;
    };

    const move = event => {
        const bounds = area.getBoundingClientRect();
        show((event.clientX - bounds.left) / bounds.width * 1000);
    };

    const key = event => {
        const xs = [...new Set(lines().flatMap(line => line.points.map(p => p.x)))].sort((a, b) => a - b);
        const here = at === null ? xs.length - 1 : xs.findIndex(x => x >= at - 0.001);
        const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: xs.length - 1 }[event.key];
        if (next !== undefined && xs.length > 0) {
            event.preventDefault();
            show(xs[Math.min(Math.max(next, 0), xs.length - 1)]);
        } else if (event.key === 'Escape') {
            hide();
        }
    };

    area.addEventListener('pointermove', move);
    area.addEventListener('pointerleave', hide);
    area.addEventListener('keydown', key);
    area.addEventListener('blur', hide);
    return {
        detach() {
            area.removeEventListener('pointermove', move);
            area.removeEventListener('pointerleave', hide);
            area.removeEventListener('keydown', key);
            area.removeEventListener('blur', hide);
        },
    };
}
