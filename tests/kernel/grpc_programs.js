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

const unary = (method, message) => new Promise((resolve) =>
  client.makeUnaryRequest(path(method), same, same, message, (error) => resolve(error)));
const ended = (call) => new Promise((resolve) => {
  call.on('data', () => {});
  call.on('end', resolve);
});

(async () => {
  for (let n = 0; n < 20; n++) await unary('EmptyCall', empty);
  await ended(client.makeServerStreamRequest(
    path('StreamingOutputCall'), same, same, Buffer.concat(Array(7).fill(oneOfTen))));
  await new Promise((resolve) => {
    const call = client.makeClientStreamRequest(path('StreamingInputCall'), same, same, resolve);
    for (let n = 0; n < 5; n++) call.write(empty);
    call.end();
  });
  const both = client.makeBidiStreamRequest(path('FullDuplexCall'), same, same);
  const done = ended(both);
  for (let n = 0; n < 3; n++) both.write(oneOfTen);
  both.end();
  await done;
  if (!(await unary('UnaryCall', notFound))) throw new Error('UnaryCall did not fail');
  if (!(await unary('UnimplementedCall', empty))) throw new Error('it is not implemented');
  await Promise.all(Array(50).fill().map(() => unary('EmptyCall', empty)));
  client.close();
})();
