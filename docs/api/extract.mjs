import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import apiExtractor from '@microsoft/api-extractor';

const { Extractor, ExtractorConfig } = apiExtractor;

/** Holds the public surface of each entry point against its report beside this file; with --update writes the reports. */
const update = process.argv.includes('--update');
const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', '..');
const { exports } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
let failed = false;
for (const [entry, { types }] of Object.entries(exports)) {
  if (types === undefined) continue;
  const name = entry === '.' ? 'constructs' : entry.slice(2);
  const report = resolve(root, 'docs', 'api', `${name}.api.md`);
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: resolve(root, types),
      compiler: { tsconfigFilePath: resolve(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: resolve(root, 'docs', 'api'),
        reportTempFolder: resolve(root, 'lib', 'api'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        extractorMessageReporting: {
          default: { logLevel: 'error' },
          // Releases are said by the version number, not by a tag on each declaration.
          'ae-missing-release-tag': { logLevel: 'none' },
          // An entry point shows types of another room, which has a report of its own.
          'ae-forgotten-export': { logLevel: 'none' },
          'ae-unresolved-link': { logLevel: 'none' },
        },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
  });
  const known = existsSync(report);
  const { apiReportChanged, errorCount } = Extractor.invoke(config, { localBuild: update, showVerboseMessages: false });
  if (errorCount > 0 || (!update && (apiReportChanged || !known))) {
    failed = true;
    console.error(
      `docs/api/${name}.api.md is not the public surface of ${entry}; review it with: npm run api -- --update`,
    );
  }
}
process.exitCode = failed ? 1 : 0;
