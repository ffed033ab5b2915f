// node-wasi.mjs [--dir HOST::GUEST] [--env NAME=VALUE] FILE ARGS...: runs a WASI preview 1 module under node, with the
// options that the other engines take. Used by `compare`.

import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const args = process.argv.slice(2);
const preopens = {};
const env = {};
while (args[0] === "--dir" || args[0] === "--env") {
    const [option, value] = args.splice(0, 2);
    const separator = option === "--dir" ? "::" : "=";
    const at = value.indexOf(separator);
    const [left, right] = [value.slice(0, at), value.slice(at + separator.length)];
    if (option === "--dir") preopens[right] = left;
    else env[left] = right;
}
const wasi = new WASI({ version: "preview1", args, env, preopens, returnOnExit: true });
const module = await WebAssembly.compile(await readFile(args[0]));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
