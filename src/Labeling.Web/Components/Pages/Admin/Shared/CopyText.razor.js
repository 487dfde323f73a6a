export const select = input => input.select();

export async function copy(input) {
    try {
        await navigator.clipboard.writeText(input.value);
        return true;
    } catch {
        // Without HTTPS browsers offer no clipboard: the old way works from a selection.
        input.focus();
        input.select();
        return document.execCommand('copy');
    }
}
