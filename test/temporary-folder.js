const fs = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

/** One temporary folder for all tests: `Testing.app()` of cdk8s makes a folder for each app and removes none. */
module.exports = function setup() {
  process.env.TMPDIR = fs.mkdtempSync(join(tmpdir(), 'collab-homelab-tests-'));
};
