// Keeps one assignment's draft: at once in this browser, a second after the last change on the server, and again until the server has it.
// Knows nothing about what the text is: a demonstration's answer and a ranking's JSON are kept the same way.
import { newId, reason, request, wait } from './http.js';
import * as mirror from './mirror.js';

const saveAfter = 1000;
const retryDelays = [2000, 4000, 8000, 15000, 30000];
const renewEvery = 60000;
const idleAfter = 60000;

export class Draft {
    // show({ state, message, savedAt, expiresAt, mine, stored }) is called whenever something visible changes.
    constructor(assignment, show) {
        this.assignment = assignment;
        this.show = show;
        this.address = `/app/assignments/${assignment}`;
        this.text = '';
        this.version = 0;
        this.dirty = false;
        this.failures = 0;
        this.seconds = 0;
        this.lastActive = Date.now();
        this.lastRenewed = Date.now();
        this.closed = false;
    }

    // The text to start from: the server's, or this browser's when it holds something the server never got.
    async open() {
        const kept = mirror.read(this.assignment);
        this.submitId = kept?.submitId ?? newId();
        this.seconds = kept?.seconds ?? 0;
        const stored = await request('GET', `${this.address}/draft`);
        if (stored.kind === 'ok') {
            this.version = stored.value.version;
            this.expiresAt = stored.value.expiresAt;
            this.text = stored.value.text ?? '';
            if (kept?.dirty && kept.text !== this.text) {
                if (kept.basedOn === this.version) {
                    this.text = kept.text;
                    this.dirty = true;
                } else {
                    this.conflict(kept.text, { storedText: this.text, version: this.version });
                    this.text = kept.text;
                }
            }
            if (!this.dirty && !this.conflicted) {
                this.tell(stored.value.savedAt ? 'saved' : 'new', { savedAt: stored.value.savedAt });
            }
        } else {
            this.text = kept?.text ?? '';
            this.version = kept?.basedOn ?? 0;
            this.dirty = kept?.dirty ?? false;
            this.failed(stored);
        }
        this.listen();
        if (this.dirty) {
            this.schedule(0);
        }
        return this.text;
    }

    change(text) {
        this.active();
        if (text === this.text) {
            return;
        }
        this.text = text;
        this.dirty = true;
        this.keep();
        if (!this.conflicted && !this.signedOut) {
            this.tell('changed');
            this.schedule(saveAfter);
        }
    }

    // True when the server has the present text.
    async flush() {
        clearTimeout(this.timer);
        while (this.saving) {
            await this.saving;
        }
        if (this.dirty && !this.conflicted && !this.signedOut && !this.closed) {
            await this.save();
        }
        return !this.dirty;
    }

    // The person has picked one of two texts: it is saved on top of the other tab's version.
    choose(text) {
        this.version = this.conflicted.version;
        this.conflicted = null;
        this.text = text;
        this.dirty = true;
        this.keep();
        this.schedule(0);
    }

    // Hands in the label. The id stays the same over every retry and reload, so that it is stored once.
    async submit(path, body) {
        clearTimeout(this.timer);
        this.signedOut = false;
        while (this.saving) {
            await this.saving;
        }
        this.submitting = true;
        document.documentElement.dataset.busy = 'true'; // the page is not loaded again under a submission, see connection.js
        this.keep();
        this.tell('submitting');
        for (let tries = 0; ; tries++) {
            const answer = await request('POST', `${this.address}/${path}`, { id: this.submitId, secondsSpent: Math.round(this.seconds), ...body });
            if (answer.kind === 'ok') {
                this.close();
                return answer.value;
            }
            if (answer.kind !== 'unreachable' || tries >= 4) {
                this.submitting = false;
                delete document.documentElement.dataset.busy;
                this.failed(answer);
                return null;
            }
            this.tell('offline', { message: 'The server does not answer. Trying again to submit.' });
            await wait(retryDelays[tries]);
        }
    }

    close() {
        this.stop();
        mirror.remove(this.assignment);
    }

    stop() {
        this.closed = true;
        clearTimeout(this.timer);
        clearInterval(this.clock);
        this.listeners?.abort();
    }

    active() {
        const now = Date.now();
        if (now - this.lastActive < idleAfter) {
            this.seconds += (now - this.lastActive) / 1000;
        }
        this.lastActive = now;
    }

    schedule(delay) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.flush(), delay);
    }

    async save() {
        const text = this.text;
        const done = Promise.withResolvers ? Promise.withResolvers() : withResolvers();
        this.saving = done.promise;
        this.tell('saving');
        const answer = await request('PUT', `${this.address}/draft`, { basedOn: this.version, text });
        this.saving = null;
        done.resolve();
        if (this.closed) {
            return;
        }
        if (answer.kind === 'ok') {
            this.failures = 0;
            this.version = answer.value.version;
            this.expiresAt = answer.value.expiresAt;
            this.lastRenewed = Date.now();
            this.dirty = this.text !== text;
            this.keep();
            if (this.dirty) {
                this.schedule(saveAfter);
            } else {
                this.tell('saved', { savedAt: answer.value.savedAt });
            }
        } else if (answer.kind === 'conflict' && answer.value?.conflict) {
            if ((answer.value.storedText ?? '') === this.text) {
                this.version = answer.value.version;
                this.dirty = false;
                this.keep();
                this.tell('saved', { savedAt: answer.value.savedAt });
            } else {
                this.conflict(this.text, answer.value);
            }
        } else {
            this.failed(answer);
        }
    }

    conflict(mine, stored) {
        this.conflicted = { version: stored.version };
        this.dirty = true;
        this.tell('conflict', { mine, stored: stored.storedText ?? '' });
    }

    failed(answer) {
        if (answer.kind === 'signed-out') {
            // Not tried again until the person comes back to this tab: the way to sign in must not vanish under the pointer.
            this.signedOut = true;
            this.submitting = false;
            this.tell('signed-out');
        } else if (answer.kind === 'unreachable') {
            const delay = retryDelays[Math.min(this.failures++, retryDelays.length - 1)];
            this.tell('offline');
            if (this.dirty) {
                this.schedule(delay);
            }
        } else {
            this.tell('refused', { message: reason(answer) });
        }
    }

    keep() {
        this.mirrored = mirror.write(this.assignment, {
            text: this.text, basedOn: this.version, dirty: this.dirty, submitId: this.submitId, seconds: Math.round(this.seconds),
        });
    }

    tell(state, more) {
        this.show({ state, mirrored: this.mirrored !== false, expiresAt: this.expiresAt, ...more });
    }

    listen() {
        this.listeners = new AbortController();
        const options = { signal: this.listeners.signal, passive: true, capture: true };
        for (const kind of ['keydown', 'pointerdown', 'wheel', 'scroll', 'touchmove']) {
            addEventListener(kind, () => this.active(), options);
        }
        addEventListener('online', () => { this.failures = 0; this.flush(); }, options);
        addEventListener('focus', event => event.target === window && this.back(), options);
        addEventListener('pagehide', () => this.leave(), options);
        document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && this.flush(), options);
        this.clock = setInterval(() => this.renew(), 5000);
    }

    back() {
        this.signedOut = false;
        if (this.dirty) {
            this.flush();
        }
    }

    // The last chance before the page goes: a small text still reaches the server, a large one waits in this browser.
    leave() {
        if (this.dirty && !this.conflicted && !this.submitting && this.text.length < 15000) {
            request('PUT', `${this.address}/draft`, { basedOn: this.version, text: this.text }, { keepalive: true });
        }
    }

    async renew() {
        const now = Date.now();
        if (this.dirty || this.submitting || now - this.lastRenewed < renewEvery || now - this.lastActive > renewEvery) {
            return;
        }
        this.lastRenewed = now;
        const answer = await request('POST', `${this.address}/renew`);
        if (answer.kind === 'ok' && !this.closed) {
            this.expiresAt = answer.value.expiresAt;
            this.show({ expiresAt: this.expiresAt });
        }
    }
}

const withResolvers = () => {
    const made = {};
    made.promise = new Promise(resolve => { made.resolve = resolve; });
    return made;
};
