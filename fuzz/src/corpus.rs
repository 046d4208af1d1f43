//! The committed inputs: a file each, byte for byte, in the folders of `tests/corpus`.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder(surface: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus").join(surface)
}

/// Path and bytes of each input of a surface, in one order, so that a seed means the same everywhere.
pub fn read(surface: &str) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> =
        entries(&folder(surface)).filter(|path| path.is_dir()).flat_map(|at| entries(&at)).collect();
    paths.sort();
    paths.iter().map(|path| (path.display().to_string(), fs::read(path).expect("a file"))).collect()
}

/// The inputs of a surface as text, to be mutated.
pub fn texts(surface: &str) -> Vec<String> {
    read(surface).iter().map(|(_, input)| String::from_utf8_lossy(input).into_owned()).collect()
}

/// The inputs of one folder of a surface.
pub fn read_folder(surface: &str, name: &str) -> Vec<(String, Vec<u8>)> {
    read(surface)
        .into_iter()
        .filter(|(path, _)| Path::new(path).parent().is_some_and(|at| at.ends_with(name)))
        .collect()
}

/// Writes an input that failed into the corpus, where `make test` finds it; returns its path.
pub fn keep(surface: &str, name: &str, input: &[u8]) -> String {
    let found = folder(surface).join("found");
    fs::create_dir_all(&found).expect("a folder");
    let path = found.join(name);
    fs::write(&path, input).expect("a file");
    path.display().to_string()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
}
