//! The account that an agent gives of records and spans when it ends.

use anyhow::{Context as _, Result, ensure};

/// Of spans, by its last line.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) spans: u64,
    pub(super) sent: u64,
    pub(super) lost: u64,
}

impl Account {
    /// Fails if its sums are not right.
    pub(super) fn read(said: &str) -> Result<Self> {
        let [received, exported, held, lost] = numbers(said, " records received = ")?;
        ensure!(received == exported + held + lost, "records do not balance:\n{said}");
        let [spans, sent, lost] = numbers(said, " spans: OTLP ")?;
        ensure!(spans == sent + lost, "spans do not balance:\n{said}");
        Ok(Self { spans, sent, lost })
    }
}

/// Of the line with these words in it.
fn numbers<const N: usize>(said: &str, words: &str) -> Result<[u64; N]> {
    let line = said.lines().find(|line| line.contains(words));
    let line = line.with_context(|| format!("no line with {words:?} in\n{said}"))?;
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let numbers = numbers.try_into().ok();
    numbers.with_context(|| format!("{N} numbers are expected of {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_checked() {
        let check = |exported: u64, sent: u64, expected: bool| {
            let said = format!(
                "lynceus: tracing\nlynceus: 9 records received = {exported} exported + 1 held + 2 lost\n\
                 lynceus: 5 spans: OTLP {sent} sent and 1 lost\n"
            );
            assert_eq!(Account::read(&said).is_ok(), expected, "{said}");
        };
        check(6, 4, true);
        check(5, 4, false);
        check(6, 5, false);
        assert!(Account::read("lynceus: tracing\n").is_err());
    }
}
