// Rates from totals: what the processes counted since the last look, each over its own time.

const WINDOW_SECONDS = 10;

export class Rates {
  constructor() {
    this.seen = new Map();
  }

  // Takes the figures of all processes, and gives what happened per second in the last few seconds.
  take(processes) {
    const found = { operations: {}, kinds: {}, names: {}, calls: {}, errors: {}, handled: {}, failed: {}, orders: {}, latency: {}, loop: {}, batches: {}, internal: 0, relayed: 0, frames: 0, statements: 0, cpu: {} };
    for (const now of processes) {
      const row = this.seen.get(now.member) ?? [];
      if (row.length && (row.at(-1).started !== now.started)) row.length = 0;
      if (!row.length || now.at > row.at(-1).at) row.push(now);
      while (row.length > 2 && now.at - row[1].at >= WINDOW_SECONDS) row.shift();
      this.seen.set(now.member, row);
      const before = row[0];
      const seconds = now.at - before.at;
      if (seconds <= 0) continue;
      for (const name of ["operations", "kinds", "names", "calls", "errors", "handled", "failed", "orders", "latency", "loop"]) {
        add(found[name], now[name], before[name], seconds);
      }
      for (const context of Object.keys(now.batches)) {
        add((found.batches[context] ??= {}), now.batches[context], before.batches[context] ?? {}, seconds);
      }
      for (const name of ["internal", "relayed", "frames", "statements"]) found[name] += (now[name] - before[name]) / seconds;
      found.cpu[now.member] = (now.cpu - before.cpu) / seconds;
    }
    const present = new Set(processes.map((each) => each.member));
    for (const member of this.seen.keys()) if (!present.has(member)) this.seen.delete(member);
    return found;
  }
}

function add(sums, now, before, seconds) {
  for (const [name, value] of Object.entries(now)) {
    sums[name] = (sums[name] ?? 0) + Math.max(0, value - (before?.[name] ?? 0)) / seconds;
  }
}

export function sum(found) {
  return Object.values(found ?? {}).reduce((total, each) => total + each, 0);
}

// The value that so many percent of a histogram's observations do not exceed; null where there were none.
export function percentile(buckets, percent) {
  const bounds = Object.entries(buckets ?? {}).map(([bound, count]) => [bound === "+Inf" ? Infinity : Number(bound), count]);
  bounds.sort((one, other) => one[0] - other[0]);
  const total = bounds.at(-1)?.[1] ?? 0;
  if (!(total > 0)) return null;
  const wanted = (total * percent) / 100;
  let below = 0;
  let under = 0;
  for (const [bound, count] of bounds) {
    if (count >= wanted) {
      if (bound === Infinity) return below;
      return below + ((bound - below) * (wanted - under)) / Math.max(count - under, Number.EPSILON);
    }
    [below, under] = [bound, count];
  }
  return below;
}
