// Requests of the labeling pages. Answers are turned into one shape: { kind, value }, kind being
// ok | empty | conflict | signed-out | refused (will not get better by itself) | unreachable (try again).
const tokenOf = () => document.querySelector('meta[name=csrf-token]');

const once = async (method, address, body, options) => {
    const response = await fetch(address, {
        method,
        headers: body === undefined
            ? { 'X-CSRF-TOKEN': tokenOf().content }
            : { 'Content-Type': 'application/json', 'X-CSRF-TOKEN': tokenOf().content },
        body: body === undefined ? undefined : JSON.stringify(body),
        ...options,
    });
    const json = response.headers.get('content-type')?.includes('json');
    const value = json ? await response.json() : null;
    if (response.ok) {
        return { kind: response.status === 204 ? 'empty' : 'ok', value };
    }
    switch (response.status) {
        case 401: return { kind: 'signed-out', value };
        case 409: return { kind: 'conflict', value };
        case 408: case 429: return { kind: 'unreachable', value };
        default: return { kind: response.status >= 500 ? 'unreachable' : 'refused', status: response.status, value };
    }
};

// A form token grows old when its person signs in again: fetch a new one and try once more.
const renewToken = async () => {
    const session = await once('GET', '/app/session');
    if (session.kind === 'ok' && session.value.token && session.value.token !== tokenOf().content) {
        tokenOf().content = session.value.token;
        return true;
    }
    return false;
};

export const request = async (method, address, body, options) => {
    try {
        const answer = await once(method, address, body, options);
        if (answer.kind === 'refused' && answer.status === 400 && answer.value?.title === 'Old form token' && await renewToken()) {
            return await once(method, address, body, options);
        }
        return answer;
    } catch {
        return { kind: 'unreachable', value: null };
    }
};

export const reason = answer => answer.value?.detail ?? answer.value?.title ?? 'The server refused it.';

export const wait = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// UUID version 7, also where crypto.randomUUID is not offered (plain HTTP in a local network).
export const newId = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    let time = Date.now();
    for (let i = 5; i >= 0; i--) {
        bytes[i] = time % 256;
        time = Math.floor(time / 256);
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map(b => b.toString(16).padStart(2, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

// Inside a living circuit a change of page is quick; without one the browser loads it.
export const go = address => {
    if (document.documentElement.dataset.circuit === 'away') {
        location.assign(address);
    } else {
        Blazor.navigateTo(address);
    }
};
