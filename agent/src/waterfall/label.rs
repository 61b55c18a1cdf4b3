//! The one line of text a span gets: its command as one would type it, safe to print.
//!
//! Arguments are chosen by whoever runs the program: no control character, no invisible one and
//! none that turns the direction of the text leaves this file. It keeps no label past 200 chars.

use unicode_width::UnicodeWidthChar as _;

const LONGEST_LABEL: usize = 200;
const LONGEST_NAME: usize = 64;
pub(super) const ELLIPSIS: char = '…';

/// `argv` as a shell would take it back, the program without its folder.
pub(super) fn command(argv: &[String]) -> Text {
    let mut text = Text::up_to(LONGEST_LABEL);
    for (position, argument) in argv.iter().enumerate() {
        if text.is_full() {
            break;
        }
        if position == 0 {
            text.quoted(basename(argument));
        } else {
            text.push(' ');
            text.quoted(argument);
        }
    }
    text
}

/// The name of what ran, by which siblings are alike.
pub(super) fn program(path: &str) -> Text {
    let mut text = Text::up_to(LONGEST_NAME);
    text.quoted(basename(path));
    text
}

/// A name that is no command: made visible, not quoted.
pub(super) fn plain(name: &str) -> Text {
    let mut text = Text::up_to(LONGEST_LABEL);
    for c in name.chars() {
        if text.is_full() {
            break;
        }
        text.visible(c);
    }
    text
}

/// What two labels begin with alike, in whole words; never less than the first word of `one`.
pub(super) fn common(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    let stem = one.strip_suffix(" …").unwrap_or(one);
    let alike = stem.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    // Both went on after the same bytes with a blank, or ended: a word was not cut in two.
    let whole = |text: &str| text.as_bytes().get(alike).is_none_or(|byte| *byte == b' ');
    let cut = match whole(stem) && whole(other) {
        true => Some(alike),
        false => stem.get(..floor(stem, alike)).and_then(|head| head.rfind(' ')),
    };
    let first = stem.find(' ').unwrap_or(stem.len());
    let head = stem.get(..cut.unwrap_or(first).max(first)).unwrap_or(stem);
    Some(format!("{head} {ELLIPSIS}"))
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

fn basename(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

/// Text with a bound on its chars; what does not fit is cut and says so with an ellipsis.
pub(super) struct Text {
    text: String,
    /// Chars that may still be written before the ellipsis.
    left: usize,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Whole,
    Cut,
}

enum Quoting {
    Bare,
    Single,
    Double,
    /// `$'…'`, the only quoting of a shell in which a control character can be written.
    Escaped,
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    fn up_to(longest: usize) -> Self {
        Self { text: String::new(), left: longest.saturating_sub(1), state: State::Whole }
    }

    fn is_full(&self) -> bool {
        self.state == State::Cut
    }

    fn push(&mut self, c: char) {
        if self.is_full() {
            return;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.text.push(c);
            }
            None => {
                self.text.push(ELLIPSIS);
                self.state = State::Cut;
            }
        }
    }

    fn visible(&mut self, c: char) {
        if is_visible(c) {
            self.push(c);
        } else {
            escape(c).chars().for_each(|c| self.push(c));
        }
    }

    fn quoted(&mut self, argument: &str) {
        let quoting = quoting(argument);
        let (open, close) = match quoting {
            Quoting::Bare => ("", ""),
            Quoting::Single => ("'", "'"),
            Quoting::Double => ("\"", "\""),
            Quoting::Escaped => ("$'", "'"),
        };
        open.chars().for_each(|c| self.push(c));
        for c in argument.chars() {
            if self.is_full() {
                return;
            }
            if matches!(quoting, Quoting::Escaped) && matches!(c, '\'' | '\\') {
                self.push('\\');
            }
            self.visible(c);
        }
        close.chars().for_each(|c| self.push(c));
    }
}

/// Reads no more of the argument than a label can show, so that its cost is bounded.
fn quoting(argument: &str) -> Quoting {
    let shown = || argument.chars().take(LONGEST_LABEL);
    let is_bare = |c: char| c.is_alphanumeric() || "_@%+=:,./-^#[]{}~".contains(c) || c > '\u{a0}';
    if shown().any(|c| !is_visible(c)) {
        Quoting::Escaped
    } else if !argument.is_empty() && shown().all(|c| is_bare(c) && !c.is_whitespace()) {
        Quoting::Bare
    } else if shown().all(|c| c != '\'') {
        Quoting::Single
    } else if shown().all(|c| !"\"$`\\!".contains(c)) {
        Quoting::Double
    } else {
        Quoting::Escaped
    }
}

/// Takes a cell or two of its own and leaves its neighbours where they are.
fn is_visible(c: char) -> bool {
    let turns_text = matches!(
        c,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !turns_text && c != '\u{ad}' && c.width().is_some_and(|cells| cells > 0)
}

fn escape(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '\0'..='\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        '\u{80}'..='\u{ffff}' => format!("\\u{:04x}", u32::from(c)),
        '\u{10000}'.. => format!("\\U{:08x}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(argv: &[&str], expected: &str) {
        let argv: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
        assert_eq!(command(&argv).as_str(), expected);
    }

    #[test]
    fn a_command_reads_as_it_is_typed() {
        check(&["/bin/ls", "/", "-la"], "ls / -la");
        check(&["bash", "-c", "exit 7"], "bash -c 'exit 7'");
        check(&["echo", "it's"], "echo \"it's\"");
        check(&["echo", "it's $5"], "echo $'it\\'s $5'");
        check(&["env", ""], "env ''");
        check(&["touch", "naïve café.txt"], "touch 'naïve café.txt'");
        check(&["touch", "日本"], "touch 日本");
        check(&["/"], "/");
        check(&[], "");
    }

    #[test]
    fn hostile_bytes_become_visible() {
        check(&["sh", "-c", "a\nb"], "sh -c $'a\\nb'");
        check(&["x", "\u{1b}[2J\r\0\u{9b}"], "x $'\\e[2J\\r\\x00\\u009b'");
        check(&["x", "a\u{202e}b\u{e0001}"], "x $'a\\u202eb\\U000e0001'");
        check(&["x", "e\u{301}"], "x $'e\\u0301'");
        assert_eq!(plain("GET /\u{7}\n x").as_str(), "GET /\\x07\\n x");
    }

    #[test]
    fn no_label_is_longer_than_its_bound() {
        let long = command(&["x".to_owned(), "\u{1b}".repeat(1 << 20)]);
        assert_eq!(long.as_str().chars().count(), LONGEST_LABEL);
        assert!(long.as_str().ends_with(ELLIPSIS));
        assert_eq!(program(&"é".repeat(500)).as_str().chars().count(), LONGEST_NAME);
    }

    #[test]
    fn a_group_is_called_what_its_members_share() {
        let check = |one: &str, other: &str, expected: Option<&str>| {
            assert_eq!(common(one, other).as_deref(), expected, "{one} | {other}");
        };
        check("ls /", "ls /", None);
        check("gcc -c a.c", "gcc -c b.c", Some("gcc -c …"));
        check("gcc -c …", "gcc -c b.c", Some("gcc -c …"));
        check("gcc -c …", "gcc b.c", Some("gcc …"));
        check("ls", "ls /", Some("ls …"));
        check("gcc é", "gcc è", Some("gcc …"));
        check("make", "meson", Some("make …"));
    }
}
