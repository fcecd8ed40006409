/** An object as it will stand in a file. */
export interface RenderedObject {
  /** The chart's id: its folder in dist/ and its Argo CD application. */
  readonly chart: string;
  /** Path of the construct that rendered it. */
  readonly construct: string;
  /** File below dist/. */
  readonly file: string;
  /** Plain JSON, in the order in which it is printed. */
  readonly object: Readonly<Record<string, any>>;
}

/** Everything that one app rendered. */
export type Rendering = readonly RenderedObject[];
