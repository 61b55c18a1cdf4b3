// Node as a client by each of its three ways, and as a server of HTTP/1 or of HTTP/2.
//
// usage: pairs.js fetch|http|http2 BASE WORDS... (as http_programs.py) | http-server|http2-server PORT LOG

const fs = require('fs');
const http = require('http');
const http2 = require('http2');

const AT_ONCE = 20;
const SENT = { '+': 'POST', '=': 'PUT', '~': 'POST' };
const [how, base, ...words] = process.argv.slice(2);

const parse = (word) => {
  if (!(word[0] in SENT)) return { method: 'GET', path: word };
  const [size, path] = word.slice(1).split(' ');
  return { method: SENT[word[0]], path, body: 'b'.repeat(size), inChunks: word[0] === '~' };
};

async function* pieces(body) {
  for (let at = 0; at < body.length; at += 1000) yield Buffer.from(body.slice(at, at + 1000));
}

const send = async (stream, { body, inChunks }) => {
  if (inChunks) for await (const piece of pieces(body)) stream.write(piece);
  stream.end(inChunks ? undefined : body);
};

const byFetch = async ({ method, path, body, inChunks }) => {
  const sent = inChunks ? { body: pieces(body), duplex: 'half' } : { body };
  await (await fetch(base + path, { method, ...sent })).arrayBuffer();
};

const agent = new http.Agent({ keepAlive: true });
const byHttp = (one) => new Promise((resolve, reject) => {
  const { method, path, body = '', inChunks } = one;
  const headers = inChunks || method === 'GET' ? {} : { 'Content-Length': body.length };
  const request = http.request(base + path, { method, headers, agent }, (answer) => {
    answer.resume().on('end', resolve);
  });
  send(request.on('error', reject), one);
});

const byHttp2 = (session) => (one) => new Promise((resolve, reject) => {
  const path = new URL(base).pathname + one.path;
  const stream = session.request({ ':method': one.method, ':path': path });
  stream.on('error', reject).on('end', resolve).resume();
  send(stream, one);
});

const asks = async (ask) => {
  const wanted = words.map(parse);
  for (const one of wanted) await ask(one);
  await Promise.all(Array(AT_ONCE).fill(wanted).flat().map(ask));
  agent.destroy();
};

const answer = (path, came) => {
  switch (path.slice(path.lastIndexOf('/'))) {
    case '/small': return [200, ['s'.repeat(1024)]];
    case '/large': return [200, Array(300).fill('l'.repeat(1000))];
    case '/text': return [200, ['fifteen letters' + came]];
    case '/up': return [201, []];
    case '/fail': return [503, ['no']];
    default: return [404, ['none']];
  }
};

const serve = (library, port, log) => library.createServer(async (request, response) => {
  let came = '';
  for await (const piece of request) came += piece;
  const [status, said] = answer(request.url, came);
  const sizes = `${came.length}/${said.join('').length}`;
  // First the log: the server may be told to end as soon as the answer has arrived.
  fs.appendFileSync(log, `${request.method} ${request.url} ${status} ${sizes}\n`);
  response.writeHead(status);
  for (const piece of said) response.write(piece);
  response.end();
}).listen(Number(port), '127.0.0.1');

switch (how) {
  case 'fetch': asks(byFetch); break;
  case 'http': asks(byHttp); break;
  case 'http2': {
    const session = http2.connect(base);
    asks(byHttp2(session)).then(() => session.close());
    break;
  }
  default: serve(how === 'http-server' ? http : http2, base, words[0]);
}
