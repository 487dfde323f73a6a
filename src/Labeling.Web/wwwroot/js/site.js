import './connection.js';
import './shortcuts.js';
