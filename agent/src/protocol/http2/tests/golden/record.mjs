// Records what real peers write, as the kernel side would show it: a line for each run, with its
// direction, its offset and its bytes, of payloads of DATA the first five.
//   node record.mjs node > node.txt      node's client and server
//   node record.mjs curl > curl.txt      curl and node's server
//   node record.mjs strip < raw > x.txt  any other recording, of lines `> hex` and `< hex`
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';

const flow = () => ({ at: 0, header: [], left: 0, show: Infinity, preface: 24 });
const flows = { '>': flow(), '<': { ...flow(), preface: 0 } };

function take(mark, bytes) {
  const flow = flows[mark];
  let run = [], start = flow.at;
  const flush = () => { if (run.length) console.log(mark, start, Buffer.from(run).toString('hex')); run = []; };
  for (const byte of bytes) {
    let shown = true;
    if (flow.preface > 0) flow.preface--;
    else if (flow.left > 0) { flow.left--; shown = flow.show-- > 0; }
    else if (flow.header.push(byte) === 9) {
      flow.left = flow.header[0] * 65536 + flow.header[1] * 256 + flow.header[2];
      flow.show = flow.header[3] === 0 ? 5 : Infinity;
      flow.header = [];
    }
    if (!shown) flush();
    else { if (!run.length) start = flow.at; run.push(byte); }
    flow.at++;
  }
  flush();
}

function answer(stream, headers) {
  const path = headers[':path'];
  stream.on('error', () => {});
  if (path === '/never') return;
  if (path === '/page') {
    stream.pushStream({ ':path': '/style.css' }, (error, push) => { push.respond({ ':status': 200 }); push.end('body{}'); });
  }
  if (path === '/trailers') {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ checksum: 'abc' }));
    stream.end('with trailers');
    return;
  }
  if (path === '/hint') stream.additionalHeaders({ ':status': 103 });
  let bytes = 0;
  stream.on('data', data => { bytes += data.length; });
  stream.on('end', () => { stream.respond({ ':status': path === '/missing' ? 404 : 200 }); stream.end(`got ${bytes}`); });
}

async function nodeClient(base) {
  const client = http2.connect(base);
  client.on('stream', stream => stream.resume());
  const ask = (headers, body) => new Promise(done => {
    const request = client.request(headers);
    request.resume().on('close', done).on('error', () => {});
    request.end(body);
  });
  await Promise.all([
    ask({ ':path': '/page' }), ask({ ':path': '/trailers' }),
    ask({ ':path': '/post', ':method': 'POST' }, 'x'.repeat(40000)),
  ]);
  await ask({ ':path': '/hint' });
  const never = client.request({ ':path': '/never' }).on('error', () => {});
  setTimeout(() => never.close(http2.constants.NGHTTP2_CANCEL), 50);
  await new Promise(done => never.on('close', done));
  await new Promise(done => client.close(done));
}

const curlClient = base => new Promise(done => spawn('curl', [
  '-sS', '--http2-prior-knowledge', '-H', 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  `${base}/one?x=1`, '-d', 'hello',
], { stdio: ['ignore', 'ignore', 'inherit'] }).on('exit', done));

if (process.argv[2] === 'strip') {
  for (const line of readFileSync(0, 'utf8').trim().split('\n')) take(line[0], Buffer.from(line.slice(2), 'hex'));
} else {
  const server = http2.createServer().on('stream', answer);
  server.listen(0, '127.0.0.1', () => {
    const proxy = net.createServer(up => {
      const down = net.connect(server.address().port, '127.0.0.1');
      const pipe = (mark, from, to) => from.on('data', data => { take(mark, data); to.write(data); })
        .on('end', () => to.end()).on('error', () => {});
      pipe('>', up, down);
      pipe('<', down, up);
    });
    proxy.listen(0, '127.0.0.1', async () => {
      await (process.argv[2] === 'curl' ? curlClient : nodeClient)(`http://127.0.0.1:${proxy.address().port}`);
      setTimeout(() => process.exit(0), 100);
    });
  });
}
