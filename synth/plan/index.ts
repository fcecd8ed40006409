export { html } from './html';
export { json, type JsonPlan } from './json';
export { markdown, MARKER } from './markdown';
export { exitCode, EXIT_CODES, summary, verdictOf } from './summary';
export { firstScreen, terminal, type TerminalOptions } from './terminal';
