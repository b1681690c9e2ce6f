/** How much this process has computed, which a busy machine does not change. */

/** Starts to count; the function tells the milliseconds of processor time since. */
export function cpuMs(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}
