// grpc-js as a client of gRPC's interoperability service. usage: grpc_programs.js PORT
//
// Messages are written by hand: the four kinds of calls need no generated code.

const grpc = require('@grpc/grpc-js');

const client = new grpc.Client('127.0.0.1:' + process.argv[2], grpc.credentials.createInsecure());
const same = (bytes) => bytes;
const path = (method) => '/grpc.testing.TestService/' + method;
const empty = Buffer.alloc(0);
// StreamingOutputCallRequest with one `response_parameters` of `size` 10.
const oneOfTen = Buffer.from([0x12, 2, 8, 10]);
// SimpleRequest with `response_status`, code 5 (NOT_FOUND).
const notFound = Buffer.from([0x3a, 2, 8, 5]);
// SimpleRequest with `response_size` 200 000 and a `payload` as long, of zeros, which look like messages.
const long = [0xc0, 0x9a, 0x0c];
const bothLong = Buffer.concat([
  Buffer.from([0x10, ...long, 0x1a, 0xc4, 0x9a, 0x0c, 0x12, ...long]), Buffer.alloc(200000)]);

const unary = (method, message) => new Promise((resolve) =>
  client.makeUnaryRequest(path(method), same, same, message, (error) => resolve(error)));
const ended = (call) => new Promise((resolve) => {
  call.on('data', () => {});
  call.on('end', resolve);
});

(async () => {
  for (let n = 0; n < 20; n++) await unary('EmptyCall', empty);
  const hear = (messages) => ended(client.makeServerStreamRequest(
    path('StreamingOutputCall'), same, same, Buffer.concat(Array(messages).fill(oneOfTen))));
  const say = (messages) => new Promise((resolve) => {
    const call = client.makeClientStreamRequest(path('StreamingInputCall'), same, same, resolve);
    for (let n = 0; n < messages; n++) call.write(empty);
    call.end();
  });
  await hear(7);
  await say(5);
  const both = client.makeBidiStreamRequest(path('FullDuplexCall'), same, same);
  const done = ended(both);
  for (let n = 0; n < 3; n++) both.write(oneOfTen);
  both.end();
  await done;
  if (!(await unary('UnaryCall', notFound))) throw new Error('UnaryCall did not fail');
  if (!(await unary('UnimplementedCall', empty))) throw new Error('it is not implemented');
  await Promise.all(Array(50).fill().map(() => unary('EmptyCall', empty)));
  // Messages in many frames between those of others, and many in a frame.
  const failed = await Promise.all(Array(6).fill().map(() => unary('UnaryCall', bothLong)));
  if (failed.some(Boolean)) throw failed[0];
  await hear(3000);
  await say(1000);
  client.close();
})();
