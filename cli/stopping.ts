/** How a command that runs in the foreground is told to end. */

/** The first SIGINT or SIGTERM asks, and is given by its name; the second one ends the process. */
export function waitForSignal(): Promise<string> {
  return new Promise((tell) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1);
        asked = true;
        tell(signal);
      });
    }
  });
}
