import type { Json } from './render';

/** What a container's process gets, by the rules of the kubelet (third_party/forked/golang/expansion), read apart from ours. */
export function environmentOf(container: Json, secrets: Readonly<Record<string, string>> = {}): Record<string, string> {
  const known: Record<string, string> = {};
  for (const { name, value, valueFrom } of container.env ?? []) {
    const key = valueFrom?.secretKeyRef;
    known[name] = key ? (secrets[`${key.name}/${key.key}`] ?? `<${key.name}/${key.key}>`) : expand(value ?? '', known);
  }
  return known;
}

function expand(input: string, known: Readonly<Record<string, string>>): string {
  let output = '';
  for (let cursor = 0; cursor < input.length; cursor++) {
    if (input[cursor] !== '$' || cursor + 1 === input.length) {
      output += input[cursor];
      continue;
    }
    const next = input[cursor + 1];
    const end = next === '(' ? input.indexOf(')', cursor) : -1;
    if (end >= 0) {
      const name = input.slice(cursor + 2, end);
      output += Object.hasOwn(known, name) ? known[name] : `$(${name})`;
      cursor = end;
    } else {
      output += next === '$' ? '$' : `$${next}`;
      cursor++;
    }
  }
  return output;
}
