// Runs before the first paint: picks light or dark and tells the server, by cookies, the look and the time zone.
(() => {
    const root = document.documentElement;
    const system = matchMedia('(prefers-color-scheme: dark)');
    const watchers = new Set();

    const choice = () => {
        const kept = /(?:^|; )labeling-theme=(light|dark|system)/.exec(document.cookie);
        return kept ? kept[1] : 'system';
    };

    const apply = picked => {
        const dark = picked === 'dark' || (picked === 'system' && system.matches);
        root.dataset.theme = dark ? 'dark' : 'light';
        cookie('labeling-theme', picked === 'system' ? (dark ? 'system-dark' : 'system-light') : picked);
        watchers.forEach(watcher => watcher.invokeMethodAsync('ThemeChanged', dark).catch(() => watchers.delete(watcher)));
        return dark;
    };

    const cookie = (name, value) => {
        document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
    };

    system.addEventListener('change', () => apply(choice()));
    cookie('labeling-zone', Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'UTC');
    apply(choice());

    window.labelingTheme = {
        choose: apply,
        submit: form => document.getElementById(form).submit(),
        watch: watcher => {
            watchers.add(watcher);
            return root.dataset.theme === 'dark';
        },
        unwatch: watcher => watchers.delete(watcher),
    };
})();
