/** Counts what a suite of real parts found, and closes with the line that says so. */
export class Tally {
  private passed = 0;
  private failed = 0;

  check(what: string, good: boolean, detail = ''): void {
    if (good) this.passed++;
    else {
      this.failed++;
      console.log(`FAILED: ${what}${detail && `\n  ${detail.trim().replace(/\n/g, '\n  ')}`}`);
    }
  }

  /** What another run of a suite has counted. */
  add(passed: number, failed: number): void {
    this.passed += passed;
    this.failed += failed;
  }

  get good(): boolean {
    return this.failed === 0;
  }

  line(): string {
    return `${this.passed} passed, ${this.failed} failed`;
  }

  close(): void {
    console.log(this.line());
    process.exitCode = this.failed > 0 ? 1 : 0;
  }
}
