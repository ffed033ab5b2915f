// The language from several sides: numbers, strings, regular expressions, JSON, exceptions, generators, promises, files.
import * as std from "qjs:std";
import * as os from "qjs:os";
import { area, Shape } from "./shapes.js";

const show = (...xs) => console.log(...xs.map(x => typeof x === "string" ? x : JSON.stringify(x) ?? String(x)));

show(0.1 + 0.2, (1e21).toString(), (255).toString(36), (0.000001234).toExponential(2), 2 ** 53 + 2, -0 === 0, Object.is(-0, 0), parseFloat("1e-7x"), (25).toString(2));
show([3, 1, 10, 2].sort(), [3, 1, 10, 2].toSorted((a, b) => a - b), [..."añ☃𝒳"].length, "añ☃𝒳".length, "İstanbul".toLowerCase().length, "ß".toUpperCase());
show(String(2n ** 200n), String((-7n) / 2n), String(BigInt.asUintN(64, -1n)), String(123456789123456789n * 987654321987654321n));
show(new Date(Date.UTC(2024, 1, 29, 12, 30)).toISOString(), new Date("2000-01-01T00:00:00Z").getTime(), Number.isNaN(Date.parse("nonsense")));

const log = Array.from({ length: 200 }, (_, i) => `user${i % 9}@host${i % 4}.example:${i * 37 % 101}`).join(" ");
const re = /(?<user>[a-z]+\d)@(?<host>host[0-3])\.example:(?<n>\d+)\b/g;
const byHost = {};
for (const { groups: g } of log.matchAll(re)) byHost[g.host] = (byHost[g.host] ?? 0) + Number(g.n);
show(byHost, "2024-03-05".replace(/(\d+)-(\d+)-(\d+)/, "$3.$2.$1"), "aBc".replace(/b/i, x => `[${x}]`), /^(?:(a+)+)$/.test("a".repeat(20) + "b"), "x1y22z".split(/\d+/));
show(/\p{Lu}\p{Ll}+/u.exec("über Österreich")[0], /(?<=€)\d+/.exec("€42")[0], /^.$/su.test("\n"), /(a)|(b)/.exec("b"), /\bfoo\b/y.test("foo bar"));

const deep = { a: [1, { b: null, c: [true, "\u2028\"\\"] }], d: new Date(0), e: undefined, f: () => 1, g: NaN };
const text = JSON.stringify(deep, null, 1);
show(text, JSON.parse(text, (k, v) => (typeof v === "number" ? v + 1 : v)));
for (const bad of ["{", "[1,]", "nul", '{"a":1}}']) {
  try { JSON.parse(bad); } catch (e) { show(bad, e instanceof SyntaxError); }
}

class Failure extends Error { constructor(code, cause) { super(`failed with ${code}`, { cause }); this.code = code; } get name() { return "Failure"; } }
function risky(n) {
  try {
    if (n === 0) null.x;
    if (n === 1) undefinedName;
    if (n === 2) throw new Failure(7, "because");
    if (n === 3) return "returned";
    return risky(n - 4);
  } catch (e) {
    if (e instanceof Failure) return `${e} ${e.code} ${e.cause}`;
    return e.constructor.name;
  } finally {
    risky.finals = (risky.finals ?? 0) + 1;
  }
}
show([0, 1, 2, 3, 9].map(risky), risky.finals);
show((function down(n) { return n ? 1 + down(n - 1) : 0; })(400));

function* fibonacci() { let [a, b] = [0, 1]; for (;;) { yield a; [a, b] = [b, a + b]; } }
const some = []; for (const x of fibonacci()) { if (x > 500) break; some.push(x); }
const { first, ...rest } = { first: 1, second: 2, third: [3, ...some.slice(0, 3)] };
show(some, first, rest, [1, [2, [3, [4]]]].flat(Infinity), Object.groupBy([1, 2, 3, 4], x => (x % 2 ? "odd" : "even")));
const seen = []; const proxy = new Proxy({}, { get: (_, k) => (seen.push(String(k)), k === "then" ? undefined : 1), has: () => true });
show("q" in proxy, proxy.z + proxy[Symbol.iterator], seen, Reflect.ownKeys({ b: 1, a: 2, 1: 3 }));
show(new Uint8Array(new Float32Array([1.5]).buffer), new DataView(new ArrayBuffer(8)).getFloat64(0), [...new Int16Array([40000, -1])], [...new Set([1, 1, 2])], new WeakRef({ k: 1 }).deref());
show(area(new Shape(3, 4)), `${new Shape(1, 2)}`);

const file = std.open("/rw/out.txt", "w+");
file.puts("one\ntwo\nthree\n"); file.seek(4, std.SEEK_SET);
show(file.getline(), file.tell(), file.eof()); file.close();
show(std.loadFile("/rw/out.txt").length, os.stat("/rw/out.txt")[0].size, os.stat("/rw/none")[1] !== 0, os.readdir("/rw")[0].sort(), std.getenv("COLOUR"), os.remove("/rw/out.txt"));

const order = [];
os.setTimeout(() => { order.push("timer 20"); show(order); }, 20);
os.setTimeout(() => order.push("timer 1"), 1);
queueMicrotask(() => order.push("microtask"));
Promise.allSettled([1, Promise.reject(new Error("no")), (async () => { await null; return "async"; })()])
  .then(r => order.push(...r.map(x => x.value ?? x.reason.message)));
order.push("main");
