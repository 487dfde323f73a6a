// The browser's own copy of what is being written, one per assignment, kept in local storage at every change:
// it outlives a lost connection, a crashed tab and a sign-in that ran out.
const prefix = 'labeling-draft:';
const keepDays = 30;

export const read = assignment => {
    try {
        return JSON.parse(localStorage.getItem(prefix + assignment));
    } catch {
        return null;
    }
};

export const write = (assignment, entry) => {
    const text = JSON.stringify({ ...entry, at: Date.now() });
    try {
        localStorage.setItem(prefix + assignment, text);
        return true;
    } catch {
        prune(assignment, 0);
        try {
            localStorage.setItem(prefix + assignment, text);
            return true;
        } catch {
            return false;
        }
    }
};

export const remove = assignment => {
    try {
        localStorage.removeItem(prefix + assignment);
    } catch {
        // A browser without storage kept nothing.
    }
};

// Copies that the server has too and that nobody has touched for a while.
const prune = (except, days) => {
    try {
        for (const key of Object.keys(localStorage).filter(k => k.startsWith(prefix) && k !== prefix + except)) {
            const entry = JSON.parse(localStorage.getItem(key));
            if (!entry?.dirty && Date.now() - (entry?.at ?? 0) >= days * 86400000) {
                localStorage.removeItem(key);
            }
        }
    } catch {
        // Nothing to tidy.
    }
};

prune('', keepDays);
