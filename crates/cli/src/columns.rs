//! Tables of text: columns as wide as their widest cell, three blanks apart, as Go's `tabwriter` makes them.

/// Lines of aligned cells. Each column but the last, which may be left out of a row, is at least as wide as `least`
/// says.
pub(crate) fn aligned<R: AsRef<[String]>>(rows: &[R], least: &[usize]) -> String {
    let cell_width = |row: &R, column: usize| row.as_ref().get(column).map_or(0, |cell| cell.chars().count());
    let width = |(column, least): (usize, &usize)| {
        rows.iter().map(|row| cell_width(row, column)).max().unwrap_or_default().max(*least) + 3
    };
    let widths: Vec<usize> = least.iter().enumerate().map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut cells = row.as_ref().iter();
        for (width, cell) in widths.iter().zip(cells.by_ref()) {
            text += &format!("{cell:<width$}");
        }
        cells.for_each(|last| text += last);
        text.push('\n');
    }
    text
}
