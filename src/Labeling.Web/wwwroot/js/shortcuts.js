// Keyboard shortcuts by markup.
//   data-shortcut="ctrl+enter"   on a button: the keys press it from anywhere on the page; several are parted by spaces
//   data-keys="ArrowUp 1 2"      on a focusable element: these keys do not scroll or type while it has the focus (its handler is in the component)
const editable = element => element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

const name = event =>
    [event.ctrlKey || event.metaKey ? 'ctrl+' : '', event.altKey ? 'alt+' : '', event.key.toLowerCase()].join('');

const usable = button => !button.disabled && button.getAttribute('aria-disabled') !== 'true' && button.getClientRects().length > 0;

addEventListener('keydown', event => {
    if (event.isComposing || event.defaultPrevented) {
        return;
    }
    const target = event.target;
    if (target instanceof Element && target.dataset.keys?.split(' ').includes(event.key === ' ' ? 'Space' : event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        return;
    }
    const pressed = name(event);
    if (target instanceof Element && editable(target) && !event.ctrlKey && !event.metaKey) {
        return;
    }
    // An open dialog has the keyboard for itself.
    const within = document.querySelector('.mud-dialog') ?? document;
    const wanted = [...within.querySelectorAll('[data-shortcut]')]
        .find(button => button.dataset.shortcut.split(' ').includes(pressed) && usable(button));
    if (wanted) {
        event.preventDefault();
        wanted.click();
    }
});
