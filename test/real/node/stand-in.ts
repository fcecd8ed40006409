/** Stand-in for an image: a folder over the root of this machine, folders of programs, and the image's environment. */
export interface StandIn {
  /** Files of the image that this machine lacks, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Folders and programs of this machine, by their place in the image. */
  readonly mounts: Readonly<Record<string, string>>;
  /** Programs of this machine that the image lacks, and that a script might use by mistake. */
  readonly lacks: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What runs where the manifest gives no command. @default nothing: the manifest must give one */
  readonly entrypoint?: readonly string[];
  /** User and group of the image, where the manifest sets none. @default root */
  readonly user?: number;
}
