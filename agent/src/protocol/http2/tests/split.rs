//! However the bytes come, the exchanges are the same.

use super::*;

/// Xorshift: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}

/// Frames of many streams, in any order that the streams' own orders allow, and of no stream.
fn any_wire(numbers: &mut Numbers) -> Wire {
    let mut wire = Wire::new();
    wire.shown = numbers.below(8);
    let mut steps = vec![0];
    for _ in 0..300 {
        let index = numbers.below(steps.len());
        if index + 1 == steps.len() {
            // The next to be opened is one more.
            steps.push(0);
        }
        let stream = u32::try_from(2 * index + 1).unwrap();
        let step = &mut steps[index];
        let payload = vec![1; numbers.below(30)];
        *step += 1;
        match (*step, numbers.below(4)) {
            (1, 0) => headers(&mut wire, Request, END_STREAM, stream, &get("/"), numbers),
            (1, _) => headers(&mut wire, Request, 0, stream, &literals(stream), numbers),
            (2 | 4, 0) => {
                wire.data(Request, END_STREAM, stream, &payload);
            }
            (2 | 4, _) => {
                wire.data(Request, 0, stream, &payload);
            }
            (3, kind) => {
                let block = [&[0x48, 3], &b"200201404302"[3 * kind..3 * kind + 3]].concat();
                headers(&mut wire, Response, 0, stream, &block, numbers);
            }
            (5, 0) => {
                wire.data(Response, END_STREAM, stream, &payload);
            }
            (5, 1) => {
                wire.frame(Response, RST_STREAM, 0, stream, &[0, 0, 0, 8]);
            }
            (5, _) => headers(&mut wire, Response, END_STREAM, stream, b"\x7e\x01x", numbers),
            _ => {
                wire.frame(Response, PING, 0, 0, &[0; 8]).frame(Request, 99, 3, stream, &payload);
            }
        }
    }
    wire
}

fn literals(stream: u32) -> Vec<u8> {
    let path = format!("/{stream}");
    let len = u8::try_from(path.len()).unwrap();
    let grpc = block(&[("content-type", "application/grpc")]);
    [&[0x83, 0x86, 0x44, len][..], path.as_bytes(), &grpc].concat()
}

/// In one frame or, padded, in several.
fn headers(
    wire: &mut Wire,
    direction: Direction,
    flags: u8,
    stream: u32,
    block: &[u8],
    numbers: &mut Numbers,
) {
    if numbers.below(2) == 0 {
        wire.headers(direction, flags, stream, block);
        return;
    }
    let (start, end) = block.split_at(numbers.below(block.len()));
    let padded = [&[2], start, &[0, 0]].concat();
    wire.frame(direction, HEADERS, flags | PADDED, stream, &padded);
    wire.frame(direction, CONTINUATION, END_HEADERS, stream, end);
}

/// The same bytes in runs of other lengths: joined where they follow each other in one direction,
/// then cut. All at one time, as that is a run's.
fn cut(runs: &[Run], mut len: impl FnMut() -> usize) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::new();
    for run in runs {
        match joined.last_mut().filter(|last| {
            last.direction == run.direction && last.offset + last.bytes.len() as u64 == run.offset
        }) {
            Some(last) => last.bytes.extend(&run.bytes),
            None => joined.push(Run { time: 1, ..run.clone() }),
        }
    }
    let mut cut = Vec::new();
    for run in joined {
        let mut at = 0;
        while at < run.bytes.len() {
            let end = (at + len().max(1)).min(run.bytes.len());
            let bytes = run.bytes[at..end].to_vec();
            cut.push(Run { offset: run.offset + at as u64, bytes, ..run });
            at = end;
        }
    }
    cut
}

fn seen(runs: &[Run]) -> Seen {
    let mut seen = Seen::of(Connection::new());
    runs.iter().for_each(|run| seen.run(run));
    seen.closed()
}

#[test]
fn any_cut_gives_the_same_exchanges() {
    let mut numbers = Numbers(0x5eed);
    let mut in_all = 0;
    for round in 0..100 {
        let wire = any_wire(&mut numbers);
        let whole = seen(&cut(&wire.runs, || usize::MAX / 2));
        assert_eq!(whole.counts.out_of_step, 0);
        in_all += whole.out.len();
        let bytes = seen(&cut(&wire.runs, || 1));
        let random = seen(&cut(&wire.runs, || numbers.below(40)));
        for other in [bytes, random] {
            assert_eq!(other.out, whole.out, "round {round}");
            assert_eq!(other.counts, whole.counts, "round {round}");
        }
    }
    assert!(in_all > 2000, "{in_all}");
}

#[test]
fn any_loss_is_counted_and_no_exchange_is_invented() {
    let mut numbers = Numbers(0x1055);
    for round in 0..200 {
        let wire = any_wire(&mut numbers);
        let whole: Vec<_> =
            seen(&wire.runs).out.into_iter().map(|each| each.request.target).collect();
        let mut runs = cut(&wire.runs, || 9 + numbers.below(40));
        let lost = runs.len() / 20;
        for _ in 0..lost {
            runs.remove(1 + numbers.below(runs.len() - 2));
        }
        let some = seen(&runs);
        for exchange in &some.out {
            let target = &exchange.request.target;
            let known = whole.contains(target) || (exchange.joined_late && target.is_empty());
            assert!(known, "round {round}: {}", line(exchange));
        }
        assert!(some.counts.holes > 0, "round {round}");
    }
}
