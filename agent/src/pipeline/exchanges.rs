//! What came of records of connections: whose spans they are, and which are left to the program itself.

use super::{Instrumented, Pipeline};
use crate::{
    correlate::Of,
    event::{BootNanos, Role, TaskId},
    exchange::{Exchange, Released, Told},
    loss::Loss,
    protocol::export,
    redact::CleanSpan,
};

impl Pipeline {
    /// What came of a record of a connection.
    pub(super) fn told(&mut self, released: Released, out: &mut Vec<CleanSpan>) {
        self.ledger.http2 += self.exchanges.take_http2_counts();
        self.ledger.exported += u64::from(released.settled);
        self.ledger.lose(Loss::Unpaired, u64::from(released.unpaired));
        self.ledger.lose(Loss::TableFull, u64::from(released.refused));
        self.ledger.lose(Loss::OverBudget, u64::from(released.over_budget));
        let mut told = std::mem::take(&mut self.told);
        for told in told.drain(..) {
            match told {
                Told::Exchange(exchange) if self.is_told_by_itself(&exchange) => {
                    self.ledger.lose(Loss::Instrumented, u64::from(exchange.records));
                }
                Told::Exchange(exchange) => {
                    self.ledger.malformed_contexts += u64::from(exchange.request.malformed_context);
                    let placement = self.correlator.exchange(&exchange);
                    let left_out = self.correlator.left_out(&placement, Of::Request);
                    let span = self.assembler.exchange(*exchange, placement);
                    self.complete_unless(left_out, span, out);
                }
                Told::Refused(connection)
                    if self.is_instrumented(connection.owner, connection.time) =>
                {
                    self.ledger.lose(Loss::Instrumented, 1);
                }
                Told::Refused(connection) => {
                    let placement = self.correlator.refused(&connection);
                    let left_out = self.correlator.left_out(&placement, Of::Request);
                    let span = self.assembler.refused(&connection, placement);
                    self.complete_unless(left_out, span, out);
                }
            }
        }
        self.told = told;
    }

    fn is_told_by_itself(&mut self, exchange: &Exchange) -> bool {
        let Exchange { role, owner, request_first, .. } = *exchange;
        if self.instrumented == Instrumented::Leave && export::delivers_spans(&exchange.request) {
            self.correlator.delivered(owner, role, request_first);
            if let Some(client) = exchange.peer {
                // It is told later, and has no span to stand below.
                self.correlator.delivered(client.owner, Role::Client, request_first);
            }
        }
        let is_told = role == Role::Client && exchange.request.context.is_some();
        (is_told && self.instrumented == Instrumented::Leave)
            || self.is_instrumented(owner, request_first)
    }

    fn is_instrumented(&self, owner: TaskId, at: BootNanos) -> bool {
        self.instrumented == Instrumented::Leave && self.correlator.is_instrumented(owner, at)
    }
}
