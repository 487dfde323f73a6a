// The browser's side of a ranking: keeps the draft, owns the notes, and helps the pointer. The order itself is the component's.
import { Draft } from './draft.js';
import { next, rememberPanels, show } from './page.js';

export const open = async (root, component, { assignment, project }) => {
    const notes = root.querySelector('[data-notes]');
    const live = new AbortController();
    let state = {};

    const draft = new Draft(assignment, shown => {
        show(root, shown);
        if (shown.state === 'conflict') {
            component.invokeMethodAsync('Conflict', shown.mine, shown.stored);
        }
    });

    const parse = text => {
        try {
            return JSON.parse(text) ?? {};
        } catch {
            return {};
        }
    };

    const take = text => {
        state = parse(text);
        notes.value = state.notes ?? '';
    };

    const keep = () => draft.change(JSON.stringify({ ...state, notes: notes.value }));

    notes.addEventListener('input', keep);
    notes.addEventListener('blur', () => draft.flush());

    // Pointer: what may be dropped where is in the markup; the drop itself is handled by the component.
    const options = { signal: live.signal };
    root.addEventListener('dragstart', event => event.dataTransfer?.setData('text/plain', ''), options);
    const over = (event, on) => event.target.closest?.('[data-drop]')?.classList.toggle('over', on);
    root.addEventListener('dragenter', event => over(event, true), options);
    root.addEventListener('dragover', event => over(event, true), options);
    root.addEventListener('dragleave', event => over(event, false), options);
    for (const end of ['drop', 'dragend']) {
        root.addEventListener(end, () => root.querySelectorAll('.over').forEach(place => place.classList.remove('over')), options);
    }

    // Walking from answer to answer happens here at once: over a slow line the next key must already meet the right answer.
    // While an answer is picked up the arrows are the component's, they move it.
    let held = null;
    const cards = () => [...root.querySelectorAll('.answer')];
    const walk = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    root.addEventListener('keydown', event => {
        const card = event.target;
        if (!card.classList?.contains('answer') || event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        if (event.key === 'Enter' || event.key === ' ') {
            held = held === card ? null : card;
        } else if (event.key === 'Escape' || event.key === 'Tab') {
            held = null;
        } else if (event.key in walk && held !== card) {
            const all = cards();
            const to = all[Math.max(0, Math.min(all.length - 1, all.indexOf(card) + walk[event.key]))];
            event.preventDefault();
            event.stopPropagation();
            focus(to.id);
        }
    }, options);
    root.addEventListener('focusin', event => { held = event.target === held ? held : null; }, options);
    root.addEventListener('click', event => {
        const target = event.target.closest('[data-go]')?.dataset.go;
        if (target) {
            focus(target);
        }
    }, options);

    const text = await draft.open();
    take(text);
    rememberPanels(root);
    root.dataset.ready = 'true';

    return {
        text: () => text,
        set: part => { state = { ...state, ...part }; keep(); },
        choose: picked => { take(picked); draft.choose(picked); },
        submit: async body => {
            const stored = await draft.submit('ranking', { ...body, notes: notes.value.trim() === '' ? null : notes.value });
            if (!stored) {
                return false;
            }
            await next(project, 'ranking');
            return true;
        },
        skipped: async () => { draft.close(); await next(project, 'ranking'); },
        stop: () => { live.abort(); draft.stop(); },
    };
};

export const focus = (id, scroll = true) => {
    const element = document.getElementById(id);
    element?.focus({ preventScroll: true });
    if (scroll) {
        element?.scrollIntoView({ block: 'nearest' });
    }
};
