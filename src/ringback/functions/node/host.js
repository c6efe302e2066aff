'use strict';
/*
 * Runs Functions for the server that started this process. One argument: the number of an inherited socket.
 *
 * Both sides send frames: four bytes of length (big-endian), then JSON.
 *
 *   server -> here                                      here -> server
 *   configure {env, project, modules, domain, baseUrl,   ready     {twilio, problem}
 *              accountSid, authToken, functions, assets} done      {id, status, headers, body | base64, lines, us}
 *   run       {id, file, path, event}                    pending   {id}         the handler returned, no answer yet
 *   abandon   {id}                                       abandoned {id}
 *                                                        late      {id, lines}  said after the answer (id 0: by nobody)
 *
 * The first callback is the answer and is turned into bytes at that very moment; what the handler does to its
 * objects afterwards, and what it throws or answers later, goes to the log only.
 */
const { AsyncLocalStorage } = require('node:async_hooks');
const { Console } = require('node:console');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { Writable } = require('node:stream');
const util = require('node:util');
const { Worker } = require('node:worker_threads');

const LIMITS = JSON.parse(process.argv[3]);
const current = new AsyncLocalStorage();
const calls = new Map();
const socket = new net.Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
const modulesHere = path.join(__dirname, 'node_modules') + path.sep;

let configuration = { env: {}, project: '/', functions: {}, assets: {}, domain: '', baseUrl: '' };
let twilio = null;
let problem = null;

// ---- frames -------------------------------------------------------------------------------------------------

function send(message) {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32BE(body.length, 0);
  socket.write(Buffer.concat([head, body]));
}

let received = Buffer.alloc(0);

socket.on('data', (chunk) => {
  received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
  while (received.length >= 4) {
    const length = received.readUInt32BE(0);
    if (length > LIMITS.frame) process.exit(70);
    if (received.length < 4 + length) return;
    const message = JSON.parse(received.toString('utf8', 4, 4 + length));
    received = received.subarray(4 + length);
    dispatch(message);
  }
});
socket.on('close', () => process.exit(0)); // the server is gone
socket.on('error', () => process.exit(0));

function dispatch(message) {
  switch (message.type) {
    case 'run':
      run(message);
      break;
    case 'abandon':
      abandon(message.id);
      break;
    case 'configure':
      configure(message);
      break;
  }
}

// ---- console ------------------------------------------------------------------------------------------------

/** Keeps a line for the timeline of the call that printed it; lines of nobody go to the server's log. */
function say(level, text) {
  const call = current.getStore();
  if (call === undefined) {
    send({ type: 'late', id: 0, lines: [[level, text.slice(0, LIMITS.lineLength)]] });
    return;
  }
  for (const line of text.split('\n', LIMITS.lines + 1)) {
    call.said += 1;
    if (call.said > LIMITS.lines) continue;
    const kept = [level, line.length > LIMITS.lineLength ? line.slice(0, LIMITS.lineLength) + '…' : line];
    if (call.sent) send({ type: 'late', id: call.id, lines: [kept] });
    else call.lines.push(kept);
  }
}

function installConsole() {
  const sink = (level) =>
    new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        say(level, String(chunk).replace(/\n$/, ''));
        done();
      },
    });
  const other = new Console({ stdout: sink('info'), stderr: sink('error'), colorMode: false });
  for (const name of Object.keys(other)) {
    if (typeof other[name] === 'function') console[name] = other[name].bind(other);
  }
  const printer = (level) => (...values) => say(level, util.format(...values));
  console.log = printer('info');
  console.info = printer('info');
  console.debug = printer('debug');
  console.warn = printer('warning');
  console.error = printer('error');
  const direct = (level) => (chunk, encoding, done) => {
    say(level, (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')).replace(/\n$/, ''));
    const called = typeof encoding === 'function' ? encoding : done;
    if (typeof called === 'function') process.nextTick(called);
    return true;
  };
  process.stdout.write = direct('info');
  process.stderr.write = direct('error');
}

// ---- what Functions find ------------------------------------------------------------------------------------

/** Twilio.Response: what a Function answers when it wants a status or headers of its own. */
class Response {
  constructor(options = {}) {
    this.statusCode = options.statusCode ?? 200;
    this.body = options.body ?? null;
    this.headers = { ...(options.headers ?? {}) };
  }

  setStatusCode(statusCode) {
    this.statusCode = statusCode;
    return this;
  }

  setBody(body) {
    this.body = body;
    return this;
  }

  setHeaders(headers) {
    if (headers !== null && typeof headers === 'object') this.headers = { ...headers };
    return this;
  }

  appendHeader(name, value) {
    const key = Object.keys(this.headers).find((known) => known.toLowerCase() === String(name).toLowerCase()) ?? name;
    const known = this.headers[key];
    this.headers[key] = known === undefined ? value : [].concat(known, value);
    return this;
  }

  setCookie(name, value, attributes = []) {
    return this.appendHeader('Set-Cookie', [`${name}=${value}`, ...attributes].join(';'));
  }

  removeCookie(name) {
    return this.appendHeader('Set-Cookie', `${name}=;Max-Age=0`);
  }
}

/** Twilio's REST client, with this server in Twilio's place. */
function getTwilioClient(options = {}) {
  if (twilio === null) throw new Error(problem);
  const { accountSid, authToken, baseUrl } = configuration;
  if (!accountSid || !authToken) throw new Error('This project has no account: getTwilioClient() needs one');
  const settings = { lazyLoading: true, ...options };
  if (settings.httpClient === undefined && baseUrl) {
    const inner = new twilio.RequestClient(settings);
    settings.httpClient = {
      request(request) {
        const uri = new URL(request.uri);
        if (uri.hostname.endsWith('.twilio.com')) {
          request = { ...request, uri: baseUrl.replace(/\/+$/, '') + uri.pathname + uri.search };
        }
        return inner.request(request);
      },
      get lastRequest() {
        return inner.lastRequest;
      },
      get lastResponse() {
        return inner.lastResponse;
      },
    };
  }
  return twilio(accountSid, authToken, settings);
}

const Runtime = {
  getAssets() {
    const assets = {};
    for (const [name, file] of Object.entries(configuration.assets)) {
      assets[name] = { path: file, open: () => fs.readFileSync(file, 'utf8') };
    }
    return assets;
  },

  getFunctions() {
    const functions = {};
    for (const [name, file] of Object.entries(configuration.functions)) functions[name] = { path: file };
    return functions;
  },

  getSync(options = {}) {
    const { serviceName, ...rest } = options;
    return getTwilioClient(rest).sync.v1.services(serviceName || 'default');
  },
};

function installGlobals() {
  try {
    twilio = require(require.resolve('twilio', { paths: [configuration.project, __dirname] }));
    globalThis.Twilio = { ...twilio, Response };
  } catch (error) {
    problem = `The npm package "twilio" cannot be loaded (${error.message.split('\n', 1)[0]}): reinstall Ringback`;
    globalThis.Twilio = { Response };
    for (const name of ['twiml', 'jwt', 'Twilio']) {
      Object.defineProperty(globalThis.Twilio, name, {
        get() {
          throw new Error(problem);
        },
      });
    }
  }
  globalThis.Runtime = Runtime;
  globalThis.Response = Response;
  Object.defineProperty(globalThis, 'Functions', { configurable: true, get: () => Runtime.getFunctions() });
  Object.defineProperty(globalThis, 'twilioClient', { configurable: true, get: () => getTwilioClient() });
}

/** Takes new settings and forgets the project's modules, so that the next call reads the files anew. */
function configure(message) {
  const first = twilio === null && problem === null;
  for (const name of Object.keys(configuration.env)) delete process.env[name];
  configuration = message;
  Object.assign(process.env, configuration.env);
  const mine = configuration.project + path.sep;
  const installed = path.sep + 'node_modules' + path.sep;
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(mine) && !file.startsWith(modulesHere) && !file.includes(installed)) delete require.cache[file];
  }
  if (first) {
    installGlobals();
    send({ type: 'ready', twilio: twilio !== null, problem });
  }
}

// ---- answers ------------------------------------------------------------------------------------------------

function isTwiml(value) {
  if (twilio !== null) {
    const { VoiceResponse, MessagingResponse, FaxResponse } = twilio.twiml;
    for (const type of [VoiceResponse, MessagingResponse, FaxResponse]) {
      if (type !== undefined && value instanceof type) return true;
    }
  }
  // Built with a twilio package of the project's own.
  return /^(Voice|Messaging|Fax)Response$/.test(value.constructor?.name ?? '') && typeof value.toString === 'function';
}

const answer = (status, type, body, headers = []) => ({
  status,
  headers: type === null ? headers : [['content-type', type], ...headers],
  ...(Buffer.isBuffer(body) ? { base64: body.toString('base64') } : { body }),
});

function bodyAndType(value) {
  if (value === undefined || value === null) return ['', null];
  if (typeof value === 'string') return [value, 'text/plain; charset=utf-8'];
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return [Buffer.from(value), 'application/octet-stream'];
  if (typeof value === 'object' && isTwiml(value)) return [value.toString(), 'text/xml; charset=utf-8'];
  return [JSON.stringify(value) ?? '', 'application/json; charset=utf-8'];
}

function ofResponse(response) {
  const headers = [];
  let typed = false;
  for (const [name, value] of Object.entries(response.headers)) {
    if (name.toLowerCase() === 'content-type') typed = true;
    for (const one of [].concat(value)) headers.push([name.toLowerCase(), String(one)]);
  }
  const status = Number(response.statusCode);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`Invalid status code: ${response.statusCode}`);
  }
  const [body, type] = bodyAndType(response.body);
  return answer(status, typed ? null : type, body, headers);
}

function ofError(error) {
  if (util.types.isNativeError(error) || error instanceof Error) {
    const stack = String(error.stack ?? '')
      .split('\n')
      .filter((line) => !line.includes(__filename) && !line.includes('(node:'))
      .join('\n')
      .replaceAll(configuration.project + path.sep, '');
    const { message, name } = error;
    return {
      ...answer(500, 'application/json; charset=utf-8', JSON.stringify({ message, name, stack })),
      error: `${name}: ${message}`,
      stack,
    };
  }
  const [body, type] = bodyAndType(error);
  return { ...answer(500, type, body), error: util.inspect(error, { depth: 1, breakLength: Infinity }) };
}

function ofPayload(payload) {
  if (payload instanceof Response) return ofResponse(payload);
  const [body, type] = bodyAndType(payload);
  return answer(200, type, body);
}

/** The first answer of a call, or one too many. */
function settle(call, error, payload, thrown) {
  if (call.answer !== null) {
    if (thrown) say('error', 'thrown after the answer: ' + (error?.stack ? ofError(error).stack : util.inspect(error)));
    else say('warning', 'callback called again: only the first answer counts');
    return;
  }
  try {
    call.answer = thrown || error ? ofError(error) : ofPayload(payload);
  } catch (failure) {
    call.answer = ofError(failure); // a toString() that throws, a circular object, a bad status
  }
  if (call.answer.error !== undefined) say('error', call.answer.stack || call.answer.error);
  call.us = Number(process.hrtime.bigint() - call.started) / 1000;
  process.nextTick(deliver, call); // after what the handler still prints in this turn
}

function deliver(call) {
  if (call.sent) return;
  call.sent = true;
  calls.delete(call.id);
  const { stack, ...rest } = call.answer;
  send({ type: 'done', id: call.id, lines: call.lines, said: call.said, us: call.us, ...rest });
}

function run({ id, file, path: route, event }) {
  const call = { id, lines: [], said: 0, answer: null, sent: false, us: 0, started: process.hrtime.bigint() };
  calls.set(id, call);
  current.run(call, () => {
    try {
      const { handler } = require(file);
      if (typeof handler !== 'function') {
        throw new TypeError(`${path.relative(configuration.project, file)} exports no function named "handler"`);
      }
      const { env, domain, accountSid, authToken } = configuration;
      const context = {
        PATH: route,
        DOMAIN_NAME: domain,
        ...(accountSid ? { ACCOUNT_SID: accountSid, AUTH_TOKEN: authToken } : {}),
        ...env,
        getTwilioClient,
      };
      const callback = (error, payload) => current.run(call, settle, call, error, payload, false);
      const result = handler(context, event, callback);
      if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
        result.then(undefined, (error) => settle(call, error, undefined, true));
      }
    } catch (error) {
      settle(call, error, undefined, true);
    }
  });
  if (call.answer === null) send({ type: 'pending', id });
}

function abandon(id) {
  const call = calls.get(id);
  if (call !== undefined && !call.sent) {
    calls.delete(id);
    call.answer ??= answer(504, null, '');
    call.sent = true;
    send({ type: 'abandoned', id, lines: call.lines, said: call.said });
  } else {
    send({ type: 'abandoned', id, lines: [], said: 0 });
  }
}

function onStray(error) {
  const call = current.getStore();
  if (call === undefined) say('error', 'thrown outside of any call: ' + (error?.stack ?? util.inspect(error)));
  else settle(call, error, undefined, true);
}

/** Ends this process when the server died while a Function blocks it, so that none is left running for ever. */
function installWatchdog() {
  const watch = `
    const parent = process.ppid;
    setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 1000);`;
  new Worker(watch, { eval: true, env: {}, resourceLimits: { maxOldGenerationSizeMb: 8 } }).unref();
}

process.on('uncaughtException', onStray);
process.on('unhandledRejection', onStray);
process.on('SIGINT', () => {}); // Ctrl-C in the terminal is the server's to handle
installConsole();
installWatchdog();
