// grpc-js as a server of gRPC's interoperability service. It logs what each call was.
//
// usage: grpc_interop.js PORT LOG; messages are read and written by hand, no code is generated

const fs = require('fs');
const grpc = require('@grpc/grpc-js');

const [port, log] = process.argv.slice(2);
const same = (bytes) => bytes;
const path = (method) => '/grpc.testing.TestService/' + method;
const empty = Buffer.alloc(0);

// Pairs of number and value of each field; those of these messages are numbers and bytes.
const fields = (message) => {
  let at = 0;
  const number = () => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const found = [];
  while (at < message.length) {
    const [key, value] = [number(), number()];
    const isBytes = (key & 7) === 2;
    found.push([key >> 3, isBytes ? message.subarray(at, at + value) : value]);
    if (isBytes) at += value;
  }
  return found;
};
const field = (message, number) => (fields(message).find(([found]) => found === number) || [])[1];
const number = (value) =>
  value < 128 ? [value] : [value & 127 | 128, ...number(Math.floor(value / 128))];
// A message whose first field is a `Payload` with a `body` of this size.
const payload = (size = 0) => {
  const inner = Buffer.concat([Buffer.from([0x12, ...number(size)]), Buffer.alloc(size)]);
  return Buffer.concat([Buffer.from([0x0a, ...number(inner.length)]), inner]);
};

const ended = (method, status, came, went) =>
  fs.appendFileSync(log, `grpc.testing.TestService/${method} ${status}: ${came}/${went}\n`);
// The status that a request asks for, unless that is OK.
const failure = (method, request) => {
  const status = field(request, 7);
  const code = status && field(status, 1);
  if (!code) return null;
  ended(method, grpc.status[code], 1, 0);
  return { code, details: (field(status, 2) || empty).toString() };
};
const echo = (call) => {
  const [first, last] = ['x-grpc-test-echo-initial', 'x-grpc-test-echo-trailing-bin'];
  const [initial, trailing] = [new grpc.Metadata(), new grpc.Metadata()];
  for (const value of call.metadata.get(first)) initial.set(first, value);
  for (const value of call.metadata.get(last)) trailing.set(last, value);
  call.sendMetadata(initial);
  return trailing;
};
const answers = (request) =>
  fields(request).filter(([number]) => number === 2).map(([, value]) => payload(field(value, 1)));

const methods = {
  EmptyCall(call, answer) {
    ended('EmptyCall', 'OK', 1, 1);
    answer(null, empty);
  },
  UnaryCall(call, answer) {
    const trailing = echo(call);
    const failed = failure('UnaryCall', call.request);
    if (failed) return answer(failed);
    ended('UnaryCall', 'OK', 1, 1);
    answer(null, payload(field(call.request, 2)), trailing);
  },
  StreamingOutputCall(call) {
    const said = answers(call.request);
    for (const one of said) call.write(one);
    ended('StreamingOutputCall', 'OK', 1, said.length);
    call.end();
  },
  StreamingInputCall(call, answer) {
    let [came, size] = [0, 0];
    call.on('data', (request) => {
      came++;
      size += (field(field(request, 1) || empty, 2) || empty).length;
    });
    call.on('end', () => {
      ended('StreamingInputCall', 'OK', came, 1);
      answer(null, Buffer.from([8, ...number(size)]));
    });
  },
  FullDuplexCall(call) {
    const trailing = echo(call);
    let [came, went, failed] = [0, 0, null];
    call.on('data', (request) => {
      came++;
      failed = failure('FullDuplexCall', request);
      if (failed) return call.emit('error', failed);
      for (const one of answers(request)) {
        went++;
        call.write(one);
      }
    });
    call.on('end', () => {
      if (failed || call.cancelled) return;
      ended('FullDuplexCall', 'OK', came, went);
      call.end(trailing);
    });
  },
};

{
  const definition = Object.fromEntries(Object.keys(methods).map((name) => [name, {
    path: path(name),
    requestStream: ['StreamingInputCall', 'FullDuplexCall'].includes(name),
    responseStream: ['StreamingOutputCall', 'FullDuplexCall'].includes(name),
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }]));
  const server = new grpc.Server();
  server.addService(definition, methods);
  server.bindAsync('127.0.0.1:' + port, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}
