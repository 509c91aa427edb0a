//! Real clusters on one machine.
