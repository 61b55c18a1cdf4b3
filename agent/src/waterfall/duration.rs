//! A length of time as a person reads it: three digits and a unit, never a long number.

use std::time::Duration;

const US: u128 = 1_000;
const MS: u128 = 1_000 * US;
const S: u128 = 1_000 * MS;

/// `850 µs`, `2.1 ms`, `1.84 s`, `3 m 12 s`, `2 h 05 m`, `3 d 04 h`.
pub(super) fn human(length: Duration) -> String {
    let ns = length.as_nanos();
    // Each bound is where rounding would carry into the next form.
    match ns {
        0..US => format!("{ns} ns"),
        US..9_950 => decimal(ns, US, 1, "µs"),
        9_950..999_500 => decimal(ns, US, 0, "µs"),
        999_500..9_950_000 => decimal(ns, MS, 1, "ms"),
        9_950_000..999_500_000 => decimal(ns, MS, 0, "ms"),
        999_500_000..9_995_000_000 => decimal(ns, S, 2, "s"),
        9_995_000_000..59_950_000_000 => decimal(ns, S, 1, "s"),
        59_950_000_000.. => long((ns + S / 2) / S),
    }
}

/// A tick of an axis: a round number, with no digits that say nothing (`500 ms`, `1.5 s`).
pub(super) fn tick(length: Duration) -> String {
    let ns = length.as_nanos();
    let (unit, name) = match ns {
        0 => return "0".to_owned(),
        1..US => (1, "ns"),
        US..MS => (US, "µs"),
        MS..S => (MS, "ms"),
        S..60_000_000_000 => (S, "s"),
        60_000_000_000.. => {
            let text = long((ns + S / 2) / S);
            let round = [" 00 s", " 00 m", " 00 h"].iter().find_map(|end| text.strip_suffix(end));
            return round.unwrap_or(&text).to_owned();
        }
    };
    let text = decimal(ns, unit, 2, "");
    let digits = text.trim_end().trim_end_matches('0').trim_end_matches('.');
    format!("{digits} {name}")
}

fn decimal(ns: u128, unit: u128, places: u32, name: &str) -> String {
    let power = 10_u128.pow(places);
    let scaled = (ns * power + unit / 2) / unit;
    match places {
        0 => format!("{scaled} {name}"),
        1.. => {
            let places = usize::try_from(places).unwrap_or_default();
            format!("{}.{:0places$} {name}", scaled / power, scaled % power)
        }
    }
}

fn long(seconds: u128) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {:02} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {:02} m", minutes % 60)
    } else {
        format!("{minutes} m {:02} s", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ns: u64, expected: &str) {
        assert_eq!(human(Duration::from_nanos(ns)), expected, "{ns} ns");
    }

    #[test]
    fn three_digits_and_a_unit() {
        check(0, "0 ns");
        check(999, "999 ns");
        check(1_000, "1.0 µs");
        check(850_000, "850 µs");
        check(999_499, "999 µs");
        check(999_500, "1.0 ms");
        check(2_100_000, "2.1 ms");
        check(48_400_000, "48 ms");
        check(999_499_999, "999 ms");
        check(999_500_000, "1.00 s");
        check(1_840_000_000, "1.84 s");
        check(9_994_999_999, "9.99 s");
        check(9_995_000_000, "10.0 s");
        check(59_949_999_999, "59.9 s");
        check(59_950_000_000, "1 m 00 s");
        check(192_000_000_000, "3 m 12 s");
        check(7_500_000_000_000, "2 h 05 m");
        check(273_600_000_000_000, "3 d 04 h");
        check(u64::MAX, "213503 d 23 h");
    }

    #[test]
    fn ticks_carry_no_empty_digits() {
        for (ns, expected) in [
            (0, "0"),
            (20, "20 ns"),
            (500_000_000, "500 ms"),
            (1_500_000_000, "1.5 s"),
            (10_000_000_000, "10 s"),
            (90_000_000_000, "1 m 30 s"),
            (120_000_000_000, "2 m"),
        ] {
            assert_eq!(tick(Duration::from_nanos(ns)), expected);
        }
    }
}
