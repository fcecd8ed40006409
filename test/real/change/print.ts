import type { ServerRules } from '../../../checks/step/api-server/rules';

/** Rules as a file: a line per kind and type, in order, so that a review reads what changed. */
export function printRules(rules: ServerRules): string {
  const { kubernetes, kinds, types, defaults, zeros, ignored } = pruned(rules);
  const block = (name: string, table: Readonly<Record<string, unknown>>) => {
    const lines = Object.entries(table)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
    return `  "${name}": {\n${lines.join(',\n')}\n  }`;
  };
  const head = [`  "made": "npm run test:real -- change --derive"`, `  "kubernetes": "${kubernetes}"`];
  const blocks = [
    block('kinds', kinds),
    block('types', types),
    block('defaults', inOrder(defaults)),
    block('zeros', zeros),
    block('ignored', ignored),
  ];
  return `{\n${[...head, ...blocks].join(',\n')}\n}\n`;
}

/** The fields of each type by name: the order in which they were seen differs from run to run. */
function inOrder(table: ServerRules['defaults']): ServerRules['defaults'] {
  return Object.fromEntries(
    Object.entries(table).map(([type, fields]) => [
      type,
      Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))),
    ]),
  );
}

/** Without what changes no verdict: fields of custom objects that are merged as any value is. */
function pruned(rules: ServerRules): ServerRules {
  const custom = Object.values(rules.kinds)
    .filter((kind) => kind.custom)
    .map(({ type }) => type);
  const isCustom = (type: string) => custom.some((root) => type === root || type.startsWith(`${root}.`));
  const types: Record<string, Record<string, string>> = JSON.parse(JSON.stringify(rules.types));
  const matters = (text: string) => {
    const inner = text.replace(/^=|^[[{]|[\]}]$| by .*/g, '');
    return /^<>| by /.test(text) || text.startsWith('=') || inner in types || inner in rules.defaults;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const [type, fields] of Object.entries(types).filter(([name]) => isCustom(name))) {
      for (const [field, text] of Object.entries(fields))
        if (!matters(text)) {
          Reflect.deleteProperty(fields, field);
          changed = true;
        }
      if (Object.keys(fields).length === 0) Reflect.deleteProperty(types, type);
    }
  }
  return { ...rules, types };
}
