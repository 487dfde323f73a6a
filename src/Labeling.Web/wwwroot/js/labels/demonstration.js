// The editor of a demonstration. The text lives in the textarea and in the draft, never in the circuit: it may be long, and the circuit may be away.
import { Draft } from './draft.js';
import { next, rememberPanels, show } from './page.js';

const number = new Intl.NumberFormat('en');

export const open = async (root, { assignment, project, limit }) => {
    const editor = root.querySelector('textarea[data-editor]');
    const count = root.querySelector('[data-count]');
    const submit = root.querySelector('[data-submit]');
    const conflict = root.querySelector('[data-conflict]');
    const caretKey = `labeling-caret:${assignment}`;
    const draft = new Draft(assignment, shown => {
        show(root, shown);
        if (shown.state === 'conflict') {
            conflict.querySelector('[data-mine]').value = shown.mine;
            conflict.querySelector('[data-stored]').value = shown.stored;
            conflict.hidden = false;
            editor.disabled = true;
            measure();
        }
    });

    // As PostgreSQL and the server count: characters, with an emoji as one. The common text without pairs is counted at once.
    const length = text => /[\ud800-\udbff]/.test(text) ? [...text].length : text.length;

    const measure = () => {
        const characters = length(editor.value);
        const over = characters - limit;
        count.textContent = over > 0
            ? `${number.format(over)} characters too long (at most ${number.format(limit)})`
            : `${number.format(characters)} characters`;
        count.classList.toggle('bad', over > 0);
        submit.disabled = editor.disabled || over > 0 || editor.value.trim() === '';
    };

    const caret = () => {
        try {
            sessionStorage.setItem(caretKey, JSON.stringify([editor.selectionStart, editor.selectionEnd, editor.scrollTop]));
        } catch {
            // The caret then starts at the end.
        }
    };

    editor.addEventListener('input', () => {
        measure();
        draft.change(editor.value);
        caret();
    });
    editor.addEventListener('blur', () => { caret(); draft.flush(); });

    conflict.addEventListener('click', event => {
        const pick = event.target.closest('[data-choose]')?.dataset.choose;
        if (pick) {
            const text = conflict.querySelector(`[data-${pick}]`).value;
            editor.disabled = false;
            conflict.hidden = true;
            editor.value = text;
            draft.choose(text);
            measure();
            editor.focus();
        }
    });

    submit.addEventListener('click', async () => {
        submit.disabled = true;
        editor.readOnly = true;
        const stored = await draft.submit('demonstration', { text: editor.value });
        if (stored) {
            sessionStorage.removeItem(caretKey);
            root.querySelector('[data-save-state]').textContent = stored.surplus ? 'Submitted; others were faster, it is kept all the same' : 'Submitted';
            await next(project, 'demonstration');
        } else {
            editor.readOnly = false;
            measure();
        }
    });

    // Read-only until here: what is typed before the draft has come would be overwritten by it.
    editor.value = await draft.open();
    editor.readOnly = false;
    editor.disabled = Boolean(draft.conflicted);
    measure();
    try {
        const [start, end, top] = JSON.parse(sessionStorage.getItem(caretKey)) ?? [];
        editor.setSelectionRange(start ?? editor.value.length, end ?? editor.value.length);
        editor.scrollTop = top ?? 0;
    } catch {
        // No caret kept.
    }
    if (!matchMedia('(pointer: coarse)').matches && !editor.disabled) {
        editor.focus({ preventScroll: true });
    }
    rememberPanels(root);
    root.dataset.ready = 'true';

    return {
        flush: () => draft.flush(),
        skipped: async () => { draft.close(); await next(project, 'demonstration'); },
        stop: () => draft.stop(),
    };
};
