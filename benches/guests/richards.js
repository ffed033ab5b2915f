// richards.js: Martin Richards' simulation of an operating system's kernel, for a JavaScript engine that is itself a
// WebAssembly program: QuickJS, for example. Objects that call each other through methods of the same name, linked lists,
// and little arithmetic.
//
//   wasmrun --dir benches/guests::/guests qjs.wasm /guests/richards.js 30
//
// An idle task gives turns to two devices; a worker sends blocks of letters to two handlers, which send them on to the
// devices, letter by letter. The scheduler runs the task of the highest priority that can run. What it has counted when
// all tasks have come to rest is known: 2322 packets were passed on, and tasks were held 928 times.

"use strict";

const TURNS = 1000;
const [IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B] = [0, 1, 2, 3, 4, 5];
const LETTERS = 4;

class Packet {
  constructor(next, owner, isWork) {
    this.next = next;
    this.owner = owner; // the task that it goes to, or comes from
    this.isWork = isWork;
    this.position = 0;
    this.letters = [0, 0, 0, 0];
  }
}

/** The queue with a packet at its end. */
function append(packet, queue) {
  packet.next = null;
  if (queue === null) return packet;
  let last = queue;
  while (last.next !== null) last = last.next;
  last.next = packet;
  return queue;
}

class Task {
  constructor(kernel, id, priority, queue) {
    this.kernel = kernel;
    this.id = id;
    this.priority = priority;
    this.queue = queue;
    this.held = false;
    this.waiting = true;
    this.below = kernel.highest;
    kernel.highest = this;
    kernel.tasks[id] = this;
  }

  get canRun() {
    return !this.held && (!this.waiting || this.queue !== null);
  }

  /** Runs until it waits, is held, or lets another task go first; returns that task. */
  turn() {
    let packet = null;
    if (this.waiting) {
      packet = this.queue;
      this.queue = packet.next;
      this.waiting = false;
    }
    return this.work(packet);
  }

  wait() {
    this.waiting = true;
    return this;
  }

  hold() {
    this.kernel.holds++;
    this.held = true;
    return this.below;
  }

  release(id) {
    const other = this.kernel.tasks[id];
    other.held = false;
    return other.priority > this.priority ? other : this;
  }

  send(packet) {
    const other = this.kernel.tasks[packet.owner];
    this.kernel.sent++;
    packet.owner = this.id;
    const first = other.queue === null;
    other.queue = append(packet, other.queue);
    return first && other.priority > this.priority ? other : this;
  }
}

class Idle extends Task {
  constructor(kernel) {
    super(kernel, IDLE, 0, null);
    this.waiting = false;
    this.left = TURNS;
    this.bits = 1;
  }

  work() {
    if (--this.left === 0) return this.hold();
    const odd = this.bits & 1;
    this.bits = (this.bits >> 1) ^ (odd ? 0xd008 : 0);
    return this.release(odd ? DEVICE_B : DEVICE_A);
  }
}

class Worker extends Task {
  constructor(kernel, queue) {
    super(kernel, WORKER, 1000, queue);
    this.handler = HANDLER_A;
    this.letter = 0;
  }

  work(packet) {
    if (packet === null) return this.wait();
    this.handler = this.handler === HANDLER_A ? HANDLER_B : HANDLER_A;
    packet.owner = this.handler;
    packet.position = 0;
    for (let i = 0; i < LETTERS; i++) packet.letters[i] = this.letter = (this.letter % 26) + 1;
    return this.send(packet);
  }
}

class Handler extends Task {
  constructor(kernel, id, priority, queue) {
    super(kernel, id, priority, queue);
    this.blocks = null;
    this.devices = null;
  }

  work(packet) {
    if (packet !== null) {
      if (packet.isWork) this.blocks = append(packet, this.blocks);
      else this.devices = append(packet, this.devices);
    }
    const block = this.blocks;
    if (block === null) return this.wait();
    if (block.position === LETTERS) {
      this.blocks = block.next;
      return this.send(block);
    }
    const device = this.devices;
    if (device === null) return this.wait();
    this.devices = device.next;
    device.position = block.letters[block.position++];
    return this.send(device);
  }
}

class Device extends Task {
  constructor(kernel, id, priority) {
    super(kernel, id, priority, null);
    this.packet = null;
  }

  work(packet) {
    if (packet !== null) {
      this.packet = packet;
      return this.hold();
    }
    const done = this.packet;
    if (done === null) return this.wait();
    this.packet = null;
    return this.send(done);
  }
}

class Kernel {
  constructor() {
    this.tasks = [];
    this.highest = null;
    this.sent = 0;
    this.holds = 0;
    const packets = (count, owner, isWork) => {
      let queue = null;
      for (let i = 0; i < count; i++) queue = new Packet(queue, owner, isWork);
      return queue;
    };
    // In the order of their priorities.
    new Idle(this);
    new Worker(this, packets(2, WORKER, true));
    new Handler(this, HANDLER_A, 2000, packets(3, DEVICE_A, false));
    new Handler(this, HANDLER_B, 3000, packets(3, DEVICE_B, false));
    new Device(this, DEVICE_A, 4000);
    new Device(this, DEVICE_B, 5000);
  }

  run() {
    let task = this.highest;
    while (task !== null) task = task.canRun ? task.turn() : task.below;
  }
}

const given = typeof scriptArgs === "undefined" ? process.argv.slice(1) : scriptArgs;
const runs = Number(given[1] ?? 10);
let sent = 0;
let holds = 0;
for (let i = 0; i < runs; i++) {
  const kernel = new Kernel();
  kernel.run();
  sent += kernel.sent;
  holds += kernel.holds;
}
const right = sent === 2322 * runs && holds === 928 * runs;
console.log(`richards: ${runs} runs, ${sent} packets, ${holds} holds: ${right ? "right" : "WRONG"}`);
