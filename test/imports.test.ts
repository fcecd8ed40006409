import * as fs from 'node:fs';
import { join, resolve } from 'node:path';

/** The classes that this project uses of what `cdk8s import` generated, by file. */
const USED: Readonly<Record<string, Readonly<Record<string, { apiVersion: string; kind: string }>>>> = {
  'application-argoproj.io': { Application: { apiVersion: 'argoproj.io/v1alpha1', kind: 'Application' } },
  'certificate-cert-manager.io': { Certificate: { apiVersion: 'cert-manager.io/v1', kind: 'Certificate' } },
  'appproject-argoproj.io': { AppProject: { apiVersion: 'argoproj.io/v1alpha1', kind: 'AppProject' } },
  'gateway-gateway.networking.k8s.io': { HttpRoute: { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' } },
};

const classes = Object.entries(USED).flatMap(([file, used]) =>
  Object.entries(used).map(([name, gvk]) => [name, file, gvk] as const),
);

test.each(classes)('%s is what the definition in %s calls it', async (name, file, gvk) => {
  const generated = await import(resolve('imports', file));
  expect(generated[name].GVK).toEqual(gvk);
});

test('every class of imports/ that the code uses is asserted here', () => {
  const sources = ['constructs', 'charts'].flatMap((room) =>
    fs
      .readdirSync(room)
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(room, file)),
  );
  const used = sources.flatMap((path) =>
    [...fs.readFileSync(path, 'utf8').matchAll(/import (?:type )?\{([^}]+)\} from '\.\.\/imports\/([^']+)'/g)].flatMap(
      ([, names, file]) =>
        names!
          .split(',')
          .filter((name) => name.trim() !== '')
          .map((name) => `${file}: ${name.trim()}`),
    ),
  );
  // Enums of a class go with it.
  const asserted = (each: string) => classes.some(([name, file]) => each.startsWith(`${file}: ${name}`));
  expect(used.filter((each) => !asserted(each))).toEqual([]);
  expect(used.length).toBeGreaterThanOrEqual(classes.length);
});

test('the CLI imports each definition under a prefix of its own, or one file would overwrite the other', () => {
  const imports = [...fs.readFileSync('cdk8s.yaml', 'utf8').matchAll(/^ {2}- (\S+?):=(https:\S+)$/gm)];
  expect(imports.map(([, prefix]) => prefix)).toEqual(['application', 'appproject', 'gateway', 'certificate']);
  for (const [, prefix, address] of imports) {
    expect(address).toMatch(/\/v\d+\.\d+\.\d+\//);
    expect(Object.keys(USED).some((file) => file.startsWith(`${prefix}-`))).toBe(true);
  }
});
