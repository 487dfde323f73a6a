// The file goes straight from the disk to the server by HTTP; the circuit hears only how it ended.
let request;

export function upload(input, progress, address, page) {
    const file = input.files[0];
    if (!file) {
        page.invokeMethodAsync('Uploaded', 400, JSON.stringify({ detail: 'Choose a file first.' }));
        return;
    }
    request = new XMLHttpRequest();
    request.open('POST', `${address}&fileName=${encodeURIComponent(file.name)}`);
    request.setRequestHeader('Content-Type', 'application/jsonl');
    request.setRequestHeader('X-CSRF-TOKEN', document.querySelector('meta[name=csrf-token]').content);
    progress.removeAttribute('value');
    request.upload.onprogress = event => {
        // At the end of the file the server still has work: back to a bar without an end.
        if (event.lengthComputable && event.loaded < event.total) {
            progress.value = event.loaded / event.total;
        } else {
            progress.removeAttribute('value');
        }
    };
    request.onloadend = () => page.invokeMethodAsync('Uploaded', request.status, request.responseText);
    request.send(file);
}

export const stop = () => request?.abort();
