// A model of a small kernel: tasks of several kinds with priorities, message queues between them, two devices that
// answer after a delay. Objects, virtual calls, closures and linked lists; the totals must come out the same everywhere.

class Message {
  constructor(kind, size) { this.kind = kind; this.size = size; this.next = null; this.hops = 0; }
}

class Queue {
  #head = null; #tail = null; length = 0;
  push(m) {
    m.next = null;
    if (this.#tail) this.#tail.next = m; else this.#head = m;
    this.#tail = m;
    this.length++;
  }
  shift() {
    const m = this.#head;
    if (!m) return null;
    this.#head = m.next;
    if (!this.#head) this.#tail = null;
    this.length--;
    return m;
  }
}

class Task {
  constructor(kernel, name, priority) {
    Object.assign(this, { kernel, name, priority, inbox: new Queue(), ran: 0, handled: 0, bytes: 0 });
  }
  get ready() { return this.inbox.length > 0; }
  run() {
    this.ran++;
    const m = this.inbox.shift();
    if (m) { this.handled++; this.bytes += m.size; m.hops++; this.handle(m); }
  }
}

class Idle extends Task {
  constructor(kernel, budget) { super(kernel, "idle", 0); this.budget = budget; this.seed = 0x2545; }
  get ready() { return this.budget > 0; }
  run() {
    this.ran++; this.budget--;
    this.seed = (this.seed & 1 ? (this.seed >>> 1) ^ 0xb400 : this.seed >>> 1) & 0xffff;
    this.kernel.send(this.seed & 3 ? "worker" : "logger", new Message(this.seed & 4 ? "read" : "write", this.seed % 97 + 1));
  }
}

class Worker extends Task {
  handle(m) {
    let h = m.size;
    for (let i = 0; i < 12; i++) h = (Math.imul(h, 31) + i) | 0;
    m.size = (h >>> 0) % 89 + 1;
    this.kernel.send(m.kind === "read" ? "disk" : "net", m);
  }
}

class Device extends Task {
  constructor(kernel, name, priority, delay) { super(kernel, name, priority); this.delay = delay; }
  handle(m) {
    if (m.hops > 6) return this.kernel.send("logger", m);
    const due = this.kernel.now + this.delay + m.size % 5;
    this.kernel.at(due, () => this.kernel.send("worker", m));
  }
}

class Logger extends Task {
  sums = new Map();
  handle(m) { this.sums.set(m.kind, (this.sums.get(m.kind) ?? 0) + m.size * m.hops); }
}

class Kernel {
  now = 0; tasks = new Map(); timers = []; switches = 0;
  add(t) { this.tasks.set(t.name, t); this.order = [...this.tasks.values()].sort((a, b) => b.priority - a.priority); }
  send(to, m) { this.tasks.get(to).inbox.push(m); }
  at(due, f) {
    let i = this.timers.length;
    while (i > 0 && this.timers[i - 1].due > due) i--;
    this.timers.splice(i, 0, { due, f });
  }
  run() {
    let last = null;
    for (;;) {
      this.now++;
      while (this.timers.length && this.timers[0].due <= this.now) this.timers.shift().f();
      const t = this.order.find(t => t.ready);
      if (t) { if (t !== last) this.switches++; (last = t).run(); }
      else if (!this.timers.length) return;
    }
  }
}

function simulate(budget) {
  const k = new Kernel();
  k.add(new Idle(k, budget));
  k.add(new Worker(k, "worker", 10));
  k.add(new Device(k, "disk", 30, 12));
  k.add(new Device(k, "net", 20, 5));
  k.add(new Logger(k, "logger", 40));
  k.run();
  const log = k.tasks.get("logger");
  return `${k.now} ticks, ${k.switches} switches, ` + k.order.map(t => `${t.name} ${t.ran}/${t.handled}/${t.bytes}`).join(", ")
    + `, sums ${[...log.sums].sort().join(" ")}`;
}

for (const budget of [10, 1000, Number(scriptArgs[1] ?? 8000)]) console.log(simulate(budget));
