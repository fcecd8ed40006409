import { variableNameProblem } from '../values/variable-names';
import type { NodeLabel } from './homelab';
import * as is from './shape';

/** Rules for names that several parts of a homelab have. */

export const fixedName = is.matching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/, '1 to 48 letters, digits, _ and -', 'collab');
/** Shorter than a DNS label, because objects append a suffix to it. */
const shortLabel = is.matching(
  /^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$/,
  'a DNS label of at most 30 characters that starts with a letter',
  'documents',
);
export const objectName: is.Rule = (value, path, problems) => {
  shortLabel(value, path, problems);
  // The construct library keeps children in a plain object, which already has the property constructor.
  is.matching(/^(?!constructor$)/, 'a name other than constructor', 'documents')(
    value === 'constructor' ? value : '',
    path,
    problems,
  );
};

export const variableName = is.by((value, path) => variableNameProblem(value, path));
export const keyspaceName = is.matching(
  /^(?!system(_|$))[a-z][a-z0-9_]{0,47}$/,
  'a keyspace name of at most 48 of a-z, 0-9 and _, not system',
  'documents_history',
);

/**
 * Labels that a kubelet may set on its own node. The API server refuses a node any other key whose prefix is or ends in
 * kubernetes.io or k8s.io, and one refused key rejects all labels of that node (NodeRestriction).
 */
export const nodeLabelKey: is.Rule = (value, path, problems) => {
  is.matching(
    /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/,
    'a label key',
    'storage-type',
  )(value, path, problems);
  const prefix = typeof value === 'string' && value.includes('/') ? value.split('/')[0] : '';
  is.matching(
    /^(?!(.*\.)?(kubernetes|k8s)\.io$)/,
    'a label that a node may set on itself, outside of kubernetes.io and k8s.io',
    'storage-type',
  )(prefix, path, problems);
};
export const labelValue = is.matching(
  /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/,
  'a label value of at most 63 letters, digits, -, _ and .',
  'cassandra',
);
export const nodeLabel = is.shape<NodeLabel>({ key: nodeLabelKey, value: labelValue });
