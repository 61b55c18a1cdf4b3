//! Secrets that an argument is by its place: after `--password`, after `-p` of `mysql`, in the
//! header after `-H`; also behind `sudo` and within `sh -c`.

use std::ops::Range;

use super::entry::{self, Role};
use super::mask::Masks;
use super::name::{Meaning, meaning};
use super::{pair, program, shell};

/// How many scripts, wrappers and remote commands deep this is: a bound for the recursion.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Depth(u8);

impl Depth {
    const DEEPEST: u8 = 6;

    pub(super) fn deeper(self) -> Option<Self> {
        (self.0 < Self::DEEPEST).then_some(Self(self.0 + 1))
    }
}

/// A range of one argument that is to be masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) argument: usize,
    pub(super) range: Range<usize>,
}

/// Adds what is secret in a command line; `arguments` begin with the program's name.
pub(super) fn command<S: AsRef<str>>(arguments: &[S], depth: Depth, hits: &mut Vec<Hit>) {
    let mut found = Found { hits, scripts: Vec::new() };
    Line { arguments, first: 0 }.walk(depth, &mut found);
    let Found { hits, scripts } = found;
    any_program(arguments, &scripts, hits);
}

struct Found<'a> {
    hits: &'a mut Vec<Hit>,
    /// Arguments that were read as scripts.
    scripts: Vec<usize>,
}

/// The rules that hold whatever the program is.
fn any_program<S: AsRef<str>>(arguments: &[S], scripts: &[usize], hits: &mut Vec<Hit>) {
    for (argument, text) in arguments.iter().enumerate() {
        let text = text.as_ref().as_bytes();
        let next = || arguments.get(argument + 1).map(|next| next.as_ref().as_bytes());
        match text {
            [b'-', b'H'] => hits.extend(next().and_then(header).map(hit(argument + 1))),
            [b'-', b'H', header_text @ ..] if header_text.contains(&b':') => {
                hits.extend(header(header_text).map(|range| shifted(argument, 2, range)));
            }
            [b'-', _] | [] => {}
            [b'-', rest @ ..] => {
                let dashes = 1 + usize::from(rest.first() == Some(&b'-'));
                let Some(option) = text.get(dashes..) else { continue };
                let equals = memchr::memchr(b'=', option);
                let name = option.get(..equals.unwrap_or(option.len())).unwrap_or_default();
                if let Some(equals) = equals {
                    let start = dashes + equals + 1;
                    let value = text.get(start..).unwrap_or_default();
                    let range = option_value(name, value, arguments);
                    hits.extend(range.map(|range| shifted(argument, start, range)));
                } else if let Some(value) = next().filter(|value| !is_option(value)) {
                    hits.extend(option_value(name, value, arguments).map(hit(argument + 1)));
                }
            }
            // `A=b program --option` is not one assignment.
            _ if scripts.contains(&argument) => {}
            // `KEY=value`
            _ => hits.extend(assignment(text).map(hit(argument))),
        }
    }
}

fn option_value<S: AsRef<str>>(name: &[u8], value: &[u8], arguments: &[S]) -> Option<Range<usize>> {
    if name.ends_with(b"header") || name == b"headers" {
        return header(value);
    }
    if !name.iter().all(|byte| pair::is_name(*byte)) {
        return None;
    }
    let said = match (meaning(name), name) {
        // `-DapiKey=x`: one letter, then the name.
        (Meaning::Plain, [b'D' | b'P' | b'X' | b'e', rest @ ..]) => meaning(rest),
        (said, _) => said,
    };
    if said == Meaning::Plain {
        // `--env=TOKEN=x`, `--set=a.password=x`
        return assignment(value);
    }
    if refers(name, value, arguments) {
        return None;
    }
    said.secret(value.get(..pair::before_next_pair(value))?)
}

/// Options that name a secret where another program would be given it.
fn refers<S: AsRef<str>>(name: &[u8], value: &[u8], arguments: &[S]) -> bool {
    let keeps_secrets = || {
        let mut words = arguments.iter().take(program::SUBCOMMAND_WORDS);
        words.any(|word| matches!(word.as_ref(), "secretsmanager" | "secrets"))
    };
    let mounts = [&b"id="[..], b"type=", b"source=", b"src="];
    matches!(name, b"secret" | b"secret-id")
        && (mounts.iter().any(|start| value.starts_with(start)) || keeps_secrets())
}

/// `--password --verbose`: the password is asked for. A password may begin with one dash.
fn is_option(text: &[u8]) -> bool {
    text.starts_with(b"--") || matches!(text, [b'-', letter] if letter.is_ascii_alphabetic())
}

/// `NAME=value`, to its end or to the next pair.
fn assignment(text: &[u8]) -> Option<Range<usize>> {
    let equals = memchr::memchr(b'=', text)?;
    let name = text.get(..equals)?;
    if !name.iter().all(|byte| pair::is_name(*byte)) {
        return None;
    }
    let value = text.get(equals + 1..)?;
    let secret = meaning(name).secret(value.get(..pair::before_next_pair(value))?)?;
    Some(equals + 1 + secret.start..equals + 1 + secret.end)
}

/// `X-Api-Key: x`, `Authorization:Bearer x`
pub(super) fn header(text: &[u8]) -> Option<Range<usize>> {
    let colon = memchr::memchr(b':', text)?;
    let name = text.get(..colon).filter(|name| name.iter().all(|byte| pair::is_name(*byte)))?;
    let value = text.get(colon + 1..)?;
    let blanks = value.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let secret = meaning(name).whole(value.get(blanks..)?)?;
    Some(colon + 1 + blanks + secret.start..colon + 1 + blanks + secret.end)
}

fn hit(argument: usize) -> impl Fn(Range<usize>) -> Hit {
    move |range| Hit { argument, range }
}

fn shifted(argument: usize, by: usize, range: Range<usize>) -> Hit {
    Hit { argument, range: range.start + by..range.end + by }
}

/// A command line within another one.
struct Line<'a, S> {
    arguments: &'a [S],
    /// The place of its first argument in the outermost one, for the hits.
    first: usize,
}

impl<S: AsRef<str>> Line<'_, S> {
    fn at(&self, place: usize) -> Option<&str> {
        self.arguments.get(place).map(AsRef::as_ref)
    }

    /// The rules of the program that is called, and of the one that it calls.
    fn walk(&self, depth: Depth, found: &mut Found<'_>) {
        // `NAME=value program`, as a shell has it.
        let skipped = self.arguments.iter().take_while(|word| is_assignment(word.as_ref())).count();
        if skipped > 0 {
            return self.walk_from(skipped, depth, found);
        }
        let Some(name) = self.at(0) else { return };
        if self.arguments.len() == 1 && name.contains(char::is_whitespace) {
            return self.script_at(0, depth, found);
        }
        let Some(entry) = entry::find(name) else { return };
        let inner = match entry.role {
            Role::Tool => None,
            Role::Wrapper { values, skip } => Some(self.after_options(values, skip)),
            Role::Interpreter { values } => match self.code("ceE") {
                Some(code) => {
                    self.script_at(code, depth, found);
                    Some(code + 1)
                }
                None => Some(self.after_options(values, 0)),
            },
            Role::Shell => match self.code("c") {
                Some(code) => {
                    self.script_at(code, depth, found);
                    // `sh -c '"$@"' name program`
                    Some(code + 2)
                }
                None => Some(self.after_options("oO", 0)),
            },
            Role::After(words) => self
                .arguments
                .iter()
                .position(|word| words.contains(&word.as_ref()))
                .map(|place| place + 1),
            Role::Container => self.in_container(),
        };
        let own = self.arguments.get(1..inner.unwrap_or(usize::MAX).min(self.arguments.len()));
        program::apply(entry.tool, own.unwrap_or_default(), self.first + 1, found.hits);
        if let Some(inner) = inner {
            self.walk_from(inner, depth, found);
        }
    }

    fn walk_from(&self, place: usize, depth: Depth, found: &mut Found<'_>) {
        if let (Some(depth), Some(arguments)) = (depth.deeper(), self.arguments.get(place..)) {
            Line { arguments, first: self.first + place }.walk(depth, found);
        }
    }

    fn script_at(&self, place: usize, depth: Depth, found: &mut Found<'_>) {
        if let Some(text) = self.at(place) {
            let mut masks = Masks::default();
            shell::script(text, depth, &mut masks);
            found.scripts.push(self.first + place);
            found.hits.extend(masks.into_ranges().into_iter().map(hit(self.first + place)));
        }
    }

    /// The place after the options, of which those in `values` take an argument, after `skip` words
    /// and after assignments.
    fn after_options(&self, values: &str, skip: usize) -> usize {
        let mut place = 1;
        let mut skip = skip;
        while let Some(word) = self.at(place) {
            place += 1;
            match word.as_bytes() {
                b"--" if skip == 0 => return place,
                [b'-', b'-', ..] => {}
                // `-u root`, but `-uroot`
                [b'-', letters @ ..] => {
                    let takes = letters.iter().position(|byte| values.as_bytes().contains(byte));
                    place += usize::from(takes.is_some_and(|at| at + 1 == letters.len()));
                }
                _ if is_assignment(word) => {}
                _ if skip > 0 => skip -= 1,
                _ => return place - 1,
            }
        }
        place
    }

    /// The place of the code after `-c` or `-xc`, unless the options end before it.
    fn code(&self, letters: &str) -> Option<usize> {
        let has = |word: &S| match word.as_ref().as_bytes() {
            [b'-', cluster @ ..] => {
                cluster.len() <= 4
                    && cluster.iter().all(u8::is_ascii_alphabetic)
                    && cluster.last().is_some_and(|last| letters.as_bytes().contains(last))
            }
            _ => false,
        };
        // A few, or a script that is named before could be taken for options of its own.
        self.arguments.iter().take(6).position(has).map(|place| place + 1)
    }

    /// The first known program after `exec`, `run` or `--`, unless it is the value of an option.
    fn in_container(&self) -> Option<usize> {
        let starts = |word: &S| matches!(word.as_ref(), "exec" | "run" | "create" | "--" | "debug");
        let start = self.arguments.iter().position(starts)? + 1;
        let is_program = |place: &usize| {
            let option = place.checked_sub(1).and_then(|before| self.at(before));
            let is_value = option
                .is_some_and(|text| text.starts_with('-') && text != "--" && !text.contains('='));
            !is_value && self.at(*place).and_then(entry::find).is_some_and(entry::Entry::has_rules)
        };
        (start..self.arguments.len()).find(is_program)
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
