/** Downloads: exact versions, addresses and digests, each with its source. */

/** The public factory of Talos images; it builds them on request and publishes no checksums. */
export const IMAGE_FACTORY = 'factory.talos.dev';

/**
 * Ubuntu's cloud images by release. Several public projects pin this digest for this serial; at each
 * download, Ubuntu's signed list (SHA256SUMS in the same folder) must contain it, too.
 */
export const UBUNTU_IMAGES: Readonly<
  Record<string, { readonly folder: string; readonly serial: string; readonly sha256: string }>
> = {
  '24.04': {
    folder: 'https://cloud-images.ubuntu.com/releases/noble/release-20260814',
    serial: '20260814',
    sha256: '6e40c07ae715f744f84af0bec76415cc1987dd115b4b8de437818561f01a3733',
  },
};

/**
 * The key that signs Ubuntu's lists of cloud images: "UEC Image Automatic Signing Key <cdimage@ubuntu.com>". Debian's package
 * ubuntu-keyring (2023.11.28.1, of Debian 13) has it in /usr/share/keyrings/ubuntu-cloudimage-keyring.gpg, beside that of
 * Canonical's internal image builder, which is not used here.
 */
export const UBUNTU_IMAGE_SIGNER = 'D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81';

/** Default version of Ollama on the machine for models (https://github.com/ollama/ollama/releases); `llm.version` overrides it. */
export const OLLAMA_VERSION = 'v0.32.15';

/** Files of a release of Ollama. The list has a digest for each file, as `DIGEST  ./FILE`. */
export function ollamaRelease(version: string): { readonly archive: string; readonly sums: string } {
  const folder = `https://github.com/ollama/ollama/releases/download/${version}`;
  return { archive: `${folder}/ollama-linux-amd64.tar.zst`, sums: `${folder}/sha256sum.txt` };
}

/** Python packages for work with models on the CPU (https://pypi.org/project/mlx, https://pypi.org/project/mlx-lm). */
export const MLX_REQUIREMENTS = ['mlx[cpu]==0.32.4', 'mlx-lm==0.32.2'];

/** Image of the pod that tests the shutdown of each node once (https://hub.docker.com/_/busybox, stable release 1.37.0). */
export const BUSYBOX = 'docker.io/library/busybox:1.37.0';

/** Argo CD's install manifest, without high availability. */
export function argoCdManifest(version: string): string {
  return `https://raw.githubusercontent.com/argoproj/argo-cd/${version}/manifests/install.yaml`;
}

/**
 * SHA-256 of that file by version, computed from the tag in github.com/argoproj/argo-cd: `git show
 * v3.5.1:manifests/install.yaml | sha256sum` (v3.5.1 is commit 109ca7ca71139e514114499d294a492e7910a965). A new version in
 * `versions.argoCd` of homelab.ts needs a line here.
 */
export const ARGO_CD_MANIFESTS: Readonly<Record<string, string>> = {
  'v3.5.1': '795a3a972224da6a7f9d32c3e946445f062b60fb46028476715affeb688236e3',
};
