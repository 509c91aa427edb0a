//! The two shapes of a history: a value that changes, and a list whose items come and go.
//!
//! Only `facts` builds these; only [`crate::Release`] reads them by minor.

/// The history of one value: rows of (first minor it holds for, value), oldest first.
///
/// The first row also answers for anything older, so that a column need not say when kubeadm began.
#[derive(Debug, Clone, Copy)]
pub struct Column<T: 'static>(pub &'static [(u32, T)]);

impl<T: Copy> Column<T> {
    /// The value at a minor.
    ///
    /// A column without rows is a mistake in this crate; the golden test folds every column.
    pub fn at(&self, minor: u32) -> T {
        let first = self.0[0].1;
        self.0.iter().take_while(|(since, _)| *since <= minor).last().map_or(first, |(_, value)| *value)
    }
}

/// One item of a list that grows and shrinks.
#[derive(Debug, Clone, Copy)]
pub struct Span<T> {
    /// First minor that has the item.
    pub since: u32,
    /// First minor that no longer has it.
    pub until: u32,
    /// The item.
    pub item: T,
}

/// Bounds of the history: what was there before the oldest minor served, and what is still there.
pub(crate) const BEGINNING: u32 = 0;
/// See [`BEGINNING`].
pub(crate) const STILL: u32 = u32::MAX;

impl<T: Copy> Span<T> {
    /// An item that was there at all times.
    pub(crate) const fn always(item: T) -> Self {
        Self { since: BEGINNING, until: STILL, item }
    }

    /// An item that was introduced by a minor and is still there.
    pub(crate) const fn since(since: u32, item: T) -> Self {
        Self { since, until: STILL, item }
    }

    /// An item that a minor no longer has.
    pub(crate) const fn until(until: u32, item: T) -> Self {
        Self { since: BEGINNING, until, item }
    }

    /// An item of the minors from `since` up to, not including, `until`.
    pub(crate) const fn within(since: u32, until: u32, item: T) -> Self {
        Self { since, until, item }
    }

    /// The items a minor has, in the order of the table.
    pub(crate) fn at(rows: &'static [Self], minor: u32) -> Vec<T> {
        rows.iter().filter(|row| row.since <= minor && minor < row.until).map(|row| row.item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_answers_with_the_newest_row_not_younger_than_the_minor() {
        let column = Column(&[(11, "a"), (13, "b"), (36, "c")]);
        assert_eq!([10, 11, 12, 13, 35, 36, 99].map(|m| column.at(m)), ["a", "a", "a", "b", "b", "c", "c"]);
    }

    #[test]
    fn spans_exclude_their_end() {
        const ROWS: &[Span<&str>] =
            &[Span::always("x"), Span::until(12, "old"), Span::within(12, 14, "mid"), Span::since(13, "new")];
        assert_eq!(Span::at(ROWS, 11), ["x", "old"]);
        assert_eq!(Span::at(ROWS, 13), ["x", "mid", "new"]);
        assert_eq!(Span::at(ROWS, 14), ["x", "new"]);
    }
}
