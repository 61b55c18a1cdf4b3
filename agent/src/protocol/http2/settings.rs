//! Which settings wait for their acknowledgement, as far as they are of matter: the table sizes.
//!
//! RFC 9113 §6.5.3: settings hold from when the other side acknowledges them, which it does in their
//! order. In the bytes of that side everything behind the acknowledgement obeys them.

use std::collections::VecDeque;

use super::limit::MAX_SETTINGS;
use crate::protocol::{Direction, Sides};

#[derive(Debug, Default)]
pub(super) struct Settings {
    /// By who asked for them; `None` for settings without a table size. At most `MAX_SETTINGS`.
    waiting: Sides<VecDeque<Option<u32>>>,
}

/// There are more than are waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Settings {
    /// A side asks for a table size, or for none.
    pub(super) fn ask(&mut self, side: Direction, size: Option<u32>) -> Result<(), TooMany> {
        let waiting = self.waiting.of_mut(side);
        if waiting.len() >= MAX_SETTINGS {
            return Err(TooMany);
        }
        waiting.push_back(size);
        Ok(())
    }

    /// A side acknowledges what the other asked for first: the table size that it then obeys.
    pub(super) fn acknowledge(&mut self, side: Direction) -> Option<u32> {
        self.waiting.of_mut(side.opposite()).pop_front().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_acknowledged_in_their_order_by_the_other_side() {
        let mut settings = Settings::default();
        for size in [Some(1), None, Some(2)] {
            assert_eq!(settings.ask(Direction::Response, size), Ok(()));
        }
        assert_eq!(settings.acknowledge(Direction::Response), None);
        let acknowledged = [(); 4].map(|()| settings.acknowledge(Direction::Request));
        assert_eq!(acknowledged, [Some(1), None, Some(2), None]);
    }

    #[test]
    fn only_so_many_are_waited_for() {
        let mut settings = Settings::default();
        for _ in 0..MAX_SETTINGS {
            assert_eq!(settings.ask(Direction::Request, None), Ok(()));
        }
        assert_eq!(settings.ask(Direction::Request, None), Err(TooMany));
    }
}
