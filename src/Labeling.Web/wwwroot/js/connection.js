// What a person sees when the circuit is gone. Blazor drives it by events on the element with this id.
// The labeling pages keep drafts over HTTP, so a page in use is never taken away under somebody's hands:
// it is loaded again only when nobody has typed for a while, and the text comes back with it.
const banner = document.getElementById('components-reconnect-modal');
const idleBeforeReload = 4000;
let lastInput = 0;
let retry;

addEventListener('input', () => { lastInput = Date.now(); }, { capture: true });

const say = text => { banner.querySelector('[data-connection-text]').textContent = text; };

const reloadWhenIdle = () => {
    const wait = document.documentElement.dataset.busy ? 1000 : lastInput + idleBeforeReload - Date.now();
    if (wait > 0) {
        setTimeout(reloadWhenIdle, wait);
    } else {
        location.reload();
    }
};

const reconnect = async () => {
    try {
        if (!await Blazor.reconnect()) {
            lost();
        }
    } catch {
        say('The server does not answer yet. Trying again.');
        retry = setTimeout(reconnect, 3000);
    }
};

const lost = () => {
    clearTimeout(retry);
    say('The server was started again. The page is about to be loaded again.');
    reloadWhenIdle();
};

if (banner) {
    banner.addEventListener('components-reconnect-state-changed', event => {
        const state = event.detail.state;
        const open = state !== 'hide';
        banner.classList.toggle('open', open);
        document.documentElement.dataset.circuit = open ? 'away' : 'here';
        if (state === 'show') {
            say('The connection to the server is interrupted. Trying again.');
        } else if (state === 'failed') {
            retry = setTimeout(reconnect, 3000);
        } else if (state === 'rejected' || state === 'paused' || state === 'resume-failed') {
            lost();
        } else if (state === 'hide') {
            clearTimeout(retry);
        }
    });
    banner.querySelector('[data-connection-reload]').addEventListener('click', () => location.reload());
    document.addEventListener('visibilitychange', () => {
        if (document.visibilityState === 'visible' && retry) {
            clearTimeout(retry);
            reconnect();
        }
    });
}
