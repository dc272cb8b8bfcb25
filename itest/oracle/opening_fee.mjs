// Asks LDK for opening fees and writes its answers into the folder that is named by
// the first argument. `make oracle` runs it; TestOracle of lsp/jit reads the answers
// and makes the same inputs, so what is said here of inputs is said there in Go.
//
//   opening_fee.boundary.json  one [size, min_fee, ppm, fee] a line, amounts as
//                              strings, null where LDK says that it overflows
//   opening_fee.random.bin     the answers to 100,000 random triples, in order: a
//                              byte 0 for overflow, 1 for min_fee, or 2 with the fee
//                              behind it as an unsigned LEB128
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const out = process.argv[2];
const count = 100_000;
const seed = 52n; // bLIP-52
const max = (1n << 64n) - 1n;
const u64 = (x) => BigInt.asUintN(64, x);

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
let state = seed;
function next() {
  state = u64(state + 0x9e3779b97f4a7c15n);
  let z = state;
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

// any is a number of up to so many bits, each length as likely as another.
const any = (bits) => (next() >> BigInt(64 - bits)) >> next() % BigInt(bits);

// triple draws one input. One in four is near the overflow, one in four has a
// min_fee near the proportional part.
function triple() {
  const kind = next() & 3n;
  let size = any(64);
  let min = any(64);
  const ppm = any(32);
  const near = next() % 2_000_000n;
  if (kind === 0n && ppm > 0n) size = u64((max - near) / ppm + 1n);
  if (kind === 1n) min = u64(u64(size * ppm) / 1_000_000n + (near % 4n) - 1n);
  return [size, min, ppm];
}

// boundaries are all combinations of what a step of the computation can turn at.
function boundaries() {
  const all = new Map();
  const ppms = [
    0n, 1n, 2n, 3n, 7n, 999n, 1000n, 9999n, 10_000n, 999_999n, 1_000_000n, 1_000_001n,
    (1n << 16n) - 1n, 1n << 16n, (1n << 31n) - 1n, 1n << 31n, (1n << 32n) - 2n, (1n << 32n) - 1n,
  ];
  const around = (x) => [x - 1n, x, x + 1n];
  for (const ppm of ppms) {
    const sizes = [0n, 1n, 2n, ...around(1_000_000n), ...around(1n << 32n), ...around(1n << 63n), max - 1n, max];
    if (ppm > 0n) {
      sizes.push(...around(max / ppm)); // the last whose product fits
      sizes.push(...around((max - 999_999n) / ppm)); // the last whose sum fits
      sizes.push(...around(1_000_000n / ppm), ...around(2_000_000n / ppm)); // the rounding
    }
    for (const size of sizes.filter((s) => s >= 0n && s <= max)) {
      const part = (size * ppm + 999_999n) / 1_000_000n;
      for (const min of [0n, 1n, ...around(part), max - 1n, max].filter((m) => m >= 0n && m <= max)) {
        all.set(`${size} ${min} ${ppm}`, [size, min, ppm]);
      }
    }
  }
  return [...all.values()];
}

const folder = join(process.cwd(), "node_modules", "lightningdevkit");
const ldk = await import(join(folder, "index.mjs"));
await ldk.initializeWasmFromBinary(readFileSync(join(folder, "liblightningjs.wasm")));

// The bindings hand a u64 over as if it had a sign.
function ask([size, min, ppm]) {
  const answer = ldk.UtilMethods.constructor_compute_opening_fee(size, min, ppm);
  return answer instanceof ldk.Option_u64Z_Some ? u64(answer.some) : null;
}

const lines = boundaries().map((t) => {
  const fee = ask(t);
  return `["${t[0]}","${t[1]}",${t[2]},${fee === null ? "null" : `"${fee}"`}]`;
});
writeFileSync(join(out, "opening_fee.boundary.json"), `[\n${lines.join(",\n")}\n]\n`);

const bytes = [];
for (let i = 0; i < count; i++) {
  const t = triple();
  const fee = ask(t);
  if (fee === null || fee === t[1]) {
    bytes.push(fee === null ? 0 : 1);
    continue;
  }
  bytes.push(2);
  let rest = fee;
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
}
writeFileSync(join(out, "opening_fee.random.bin"), Buffer.from(bytes));
console.log(`${lines.length} boundary and ${count} random triples, ${bytes.length} bytes`);
