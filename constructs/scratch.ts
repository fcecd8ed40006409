import { Size } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { bytes, memoryQuantity } from '../values/quantity';
import { isInMemory, withTmp, type Scratch, type ScratchSize } from '../values/volumes';

/** Enough for the temporary files of most programs, and little beside a system disk of 60 GiB. */
const TMP: ScratchSize = Size.mebibytes(64);

/** An emptyDir volume for each scratch folder, /tmp first. */
export function scratchVolumes(scratch: Scratch = {}): { readonly volume: k8s.Volume; readonly path: string }[] {
  const names = new Set<string>();
  return Object.entries(withTmp(scratch, TMP)).map(([path, size]) => {
    const start = nameOf(path);
    const name = names.has(start) ? `${start}-${names.size}` : start;
    names.add(name);
    const limit = bytes(isInMemory(size) ? size.memory : size);
    const emptyDir = {
      medium: isInMemory(size) ? 'Memory' : undefined,
      sizeLimit: k8s.Quantity.fromString(memoryQuantity(limit)),
    };
    return { volume: { name, emptyDir }, path };
  });
}

/** `tmp` for /tmp, `scratch-var-cache-app` for /var/cache/app. */
function nameOf(path: string): string {
  const plain = path
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return plain === 'tmp' ? plain : `scratch-${plain.slice(0, 45).replace(/-$/, '')}`;
}
