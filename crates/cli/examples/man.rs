//! Writes the manual pages into a folder: `man FOLDER DATE`. The packages are made with it.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, date] = words.as_slice() else {
        return fail("usage: man FOLDER DATE");
    };
    for page in kubeadm_cli::man::pages(&kubeadm_cli::cli::tree(), date) {
        let path = Path::new(folder).join(page.file);
        if let Err(error) = std::fs::write(&path, page.text) {
            return fail(&format!("cannot write {}: {error}", path.display()));
        }
    }
    ExitCode::SUCCESS
}

#[allow(clippy::print_stderr)]
fn fail(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}
