// What both labeling pages show about their draft, and the way from one task to the next.
import { go, reason, request } from './http.js';

const clock = value => new Date(value).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false });

const words = {
    new: () => '',
    changed: () => 'Not saved yet',
    saving: () => 'Saving…',
    saved: shown => `Saved ${clock(shown.savedAt)}`,
    submitting: () => 'Submitting…',
    offline: shown => shown.message ?? 'Not saved, kept in this browser',
    conflict: () => 'Two versions: choose one',
    refused: shown => shown.message,
};

const tone = { saved: 'good', offline: 'warn', conflict: 'warn', 'signed-out': 'warn', refused: 'bad' };

export const show = (root, shown) => {
    if (shown.expiresAt) {
        const until = root.querySelector('[data-held-until]');
        if (until) {
            until.textContent = new Date(shown.expiresAt) > new Date() ? `Held for you until ${clock(shown.expiresAt)}` : 'No longer held for you; you can still submit';
        }
    }
    if (!shown.state) {
        return;
    }
    const place = root.querySelector('[data-save-state]');
    place.dataset.state = shown.state;
    place.className = `save-state ${tone[shown.state] ?? ''}`;
    if (shown.state === 'signed-out') {
        const link = document.createElement('a');
        link.href = `/sign-in?returnUrl=${encodeURIComponent(location.pathname)}`;
        link.textContent = 'Sign in again';
        link.addEventListener('click', event => {
            // A whole page load: the circuit still believes in the old session.
            event.preventDefault();
            location.assign(link.href);
        });
        place.replaceChildren('You are signed out. Your work is kept in this browser. ', link);
    } else {
        place.textContent = words[shown.state](shown) + (shown.mirrored === false ? ' (this browser keeps no copy)' : '');
    }
};

export const next = async (project, kind) => {
    const answer = await request('POST', `/app/projects/${project}/next`, { kind });
    delete document.documentElement.dataset.busy;
    go(answer.kind === 'ok' ? answer.value.address : '/?done=' + kind);
    return answer.kind === 'refused' ? reason(answer) : null;
};

// Panels that a person opens and closes stay as they left them.
export const rememberPanels = root => {
    for (const panel of root.querySelectorAll('details[data-remember]')) {
        const key = `labeling-panel:${panel.dataset.remember}`;
        try {
            panel.open = localStorage.getItem(key) !== 'closed';
            panel.addEventListener('toggle', () => localStorage.setItem(key, panel.open ? 'open' : 'closed'));
        } catch {
            // Without storage it starts open each time.
        }
    }
};
