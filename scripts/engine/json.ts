import { Blocked } from './problem';

/** @throws Blocked when a program answers with something else than JSON */
export function json(text: string, from: string): any {
  try {
    return JSON.parse(text);
  } catch {
    throw new Blocked(`${from} must answer with JSON, but answered ${JSON.stringify(text.slice(0, 120))}`);
  }
}

/** Several JSON documents, one after the other, as talosctl prints them. */
export function jsonDocuments(text: string, from: string): any[] {
  const documents: any[] = [];
  let rest = text.trim();
  while (rest !== '') {
    const end = /\n\}\s*(?=\{|$)/.exec(rest);
    const one = end ? rest.slice(0, end.index + end[0].length) : rest;
    documents.push(json(one, from));
    rest = rest.slice(one.length).trim();
  }
  return documents;
}
